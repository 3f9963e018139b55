"""The bases of the named studies and the models that have a name: plain dicts of `Run`'s fields, and their scales."""

from __future__ import annotations

from typing import Any

from ablate.study import Scale

# A small ViT on the shifted digits, one thread. Sizes, epochs and learning rate were chosen on the held-out part.
DIGITS_FIELDS = {
    "dataset": "digits_shifted",
    "image_size": 12,
    "holdout": 0.2,
    "patch_size": 3,
    "dim": 48,
    "depth": 3,
    "heads": 3,
    "mlp_ratio": 2.0,
    "token_ratio": 4.0,
    "lr": 3e-3,
    "weight_decay": 0.1,
    "batch_size": 64,
    "epochs": 60,
    "warmup_epochs": 4,
    "smoothing": 0.1,
}

DIGITS = Scale(DIGITS_FIELDS, expect="about a minute on 2 cores")

# The sizes of DeiT, and of the paper's table 1: width, blocks, heads.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"dim": 192, "depth": 12, "heads": 3},
    "small": {"dim": 384, "depth": 12, "heads": 6},
    "base": {"dim": 768, "depth": 12, "heads": 12},
    "large": {"dim": 1024, "depth": 24, "heads": 16},
}

_PICTURE: dict[str, Any] = {"image_size": 224, "patch_size": 16}

# What the paper's released code has in a block: features first, then patches, with a norm over the tokens.
_FEED_FORWARD: dict[str, Any] = {
    **_PICTURE,
    "mixer": "patch_ff",
    "token_ratio": 4.0,
    "token_norm": "token",
    "channel": "ff",
    "channel_norm": "channel",
    "order": "channel_first",
    "pool": "cls",
    "cls_init": 0.02,
}

# Melas-Kyriazi, arXiv 2105.02723: table 1 under the names of its released code, and section 3.4. The code of the last
# was not released: ViT's block with its feature layer exchanged, the second norm over the tokens, is reconstructed
# from its number of parameters.
PAPER: dict[str, dict[str, Any]] = {
    "linear_tiny": {**_FEED_FORWARD, **SIZES["tiny"]},
    "linear_base": {**_FEED_FORWARD, **SIZES["base"]},
    "linear_large": {**_FEED_FORWARD, **SIZES["large"], "patch_size": 32},
    "attention_only_tiny": {
        **_PICTURE,
        **SIZES["tiny"],
        "mixer": "attention",
        "channel": "attention",
        "channel_heads": 1,
        "channel_norm": "token",
        "pool": "cls",
        "cls_init": 0.02,
    },
}

# Plain ViTs of these sizes, as a base for any other field.
FAMILY: dict[str, dict[str, Any]] = {f"ablate_{size}": {**_PICTURE, **fields} for size, fields in SIZES.items()}
