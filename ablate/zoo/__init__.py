"""Models and weights of others: timm models, released weights, and their evaluation."""
