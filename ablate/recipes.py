"""The bases of the named studies: plain dicts of `Run`'s fields, and the scales made of them."""

from __future__ import annotations

from ablate.study import Scale

# A small ViT on the shifted digits, one thread. Sizes, epochs and learning rate were chosen on the held-out part.
DIGITS_FIELDS = {
    "dataset": "digits_shifted",
    "image_size": 12,
    "holdout": 0.2,
    "patch_size": 3,
    "dim": 64,
    "depth": 4,
    "heads": 4,
    "mlp_ratio": 2.0,
    "token_ratio": 4.0,
    "lr": 3e-3,
    "weight_decay": 0.1,
    "batch_size": 64,
    "epochs": 60,
    "warmup_epochs": 4,
    "smoothing": 0.1,
}

DIGITS = Scale(DIGITS_FIELDS, expect="two minutes on a laptop")
