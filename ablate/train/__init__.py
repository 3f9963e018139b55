"""Training: one run from its data to its record."""
