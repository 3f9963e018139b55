"""Training recipes and named models: plain dicts of `Run` fields.

A recipe sets the data and how a model is trained on it: `Run(**DEIT, mixer="patch_ff")`.
"""

from __future__ import annotations

from typing import Any

# A small ViT on the shifted digits, for one thread. Sizes, epochs and learning rate were chosen on the held-out part.
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


# DeiT (arXiv 2012.12877): the defaults of its main.py of May 2021, with the paper's batch size of 1,024 over 8 devices.
# With RandAugment, color_jitter has no effect. DeiT does not run its 10 cool-down epochs either. The moving average of
# the weights (ema) is evaluated separately; results are of the raw weights.
DEIT: dict[str, Any] = {
    "dataset": "imagenet",
    "image_size": 224,
    "crop_min_area": 0.08,
    "hflip": 0.5,
    "color_jitter": 0.4,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "random_erasing": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mix_switch": 0.5,
    "repeats": 3,
    "eval_crop": 0.875,
    "drop": 0.0,
    "drop_path": 0.1,
    "opt": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.05,
    "batch_size": 1024,
    "epochs": 300,
    "warmup_epochs": 5,
    "warmup_lr": 1e-6,
    "min_lr": 1e-5,
    "smoothing": 0.1,
    "clip_grad": 0.0,
    "ema": 0.99996,
    "precision": "fp16",
}

# Crop, flip, AdamW and a cosine schedule: the plain baseline of arXiv 2205.01580 without its RandAugment and Mixup. Its
# 10,000 warm-up steps are 8 epochs. Its weight decay of 1e-4 is not multiplied by the learning rate, so it is 0.1 here.
SIMPLE: dict[str, Any] = {
    "dataset": "imagenet",
    "image_size": 224,
    "crop_min_area": 0.05,
    "hflip": 0.5,
    "eval_crop": 0.875,
    "lr": 1e-3,
    "weight_decay": 0.1,
    "batch_size": 1024,
    "epochs": 90,
    "warmup_epochs": 8,
    "warmup_lr": 0.0,
    "min_lr": 0.0,
    "clip_grad": 1.0,
    "precision": "bf16",
}

# CIFAR-10 on one GPU, with all images in memory. Mixing, smoothing, weight decay and warm-up are those of Compact
# Transformers (arXiv 2104.05704) at 32 pixels. The padded crop usual for CIFAR replaces RandAugment, which needs loader
# processes. Not yet tuned on the held-out part: lr (the paper's is 5.5e-4 at a batch size of 128), batch_size, epochs,
# crop_padding and drop_path. `benchmarks/cifar10.py` compares some values.
CIFAR: dict[str, Any] = {
    "dataset": "cifar10",
    "image_size": 32,
    "crop_padding": 4,
    "hflip": 0.5,
    "mixup": 0.8,
    "cutmix": 1.0,
    "drop_path": 0.1,
    "lr": 1e-3,
    "weight_decay": 0.06,
    "batch_size": 256,
    "epochs": 100,
    "warmup_epochs": 10,
    "warmup_lr": 1e-5,
    "min_lr": 1e-5,
    "smoothing": 0.1,
    "precision": "bf16",
}


# The sizes of DeiT, and of table 1 of arXiv 2105.02723: width, blocks, heads.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"dim": 192, "depth": 12, "heads": 3},
    "small": {"dim": 384, "depth": 12, "heads": 6},
    "base": {"dim": 768, "depth": 12, "heads": 12},
    "large": {"dim": 1024, "depth": 24, "heads": 16},
}

PATCHES_16: dict[str, Any] = {"image_size": 224, "patch_size": 16}


# A block of the released code of arXiv 2105.02723: channels first, then tokens, with a norm over the tokens.
FEED_FORWARD: dict[str, Any] = {
    "mixer": "patch_ff",
    "token_ratio": 4.0,
    "token_norm": "token",
    "channel": "ff",
    "channel_norm": "channel",
    "order": "channel_first",
    "pool": "cls",
    "cls_init": 0.02,
}

# Section 3.4 of arXiv 2105.02723. Its code was not released. The block is reconstructed from the number of parameters:
# a ViT block with attention as channel mixer and its second norm over the tokens.
ATTENTION_ONLY: dict[str, Any] = {
    "mixer": "attention",
    "channel": "attention",
    "channel_heads": 1,
    "channel_norm": "token",
    "pool": "cls",
    "cls_init": 0.02,
}

# The models of Melas-Kyriazi (arXiv 2105.02723): table 1, named as in the released code, and section 3.4.
PAPER: dict[str, dict[str, Any]] = {
    "linear_tiny": {**PATCHES_16, **FEED_FORWARD, **SIZES["tiny"]},
    "linear_base": {**PATCHES_16, **FEED_FORWARD, **SIZES["base"]},
    "linear_large": {**PATCHES_16, **FEED_FORWARD, **SIZES["large"], "patch_size": 32},
    "attention_only_tiny": {**PATCHES_16, **ATTENTION_ONLY, **SIZES["tiny"]},
}

# Plain ViTs of these sizes, as a basis for changes of any field.
FAMILY: dict[str, dict[str, Any]] = {f"ablate_{size}": {**PATCHES_16, **fields} for size, fields in SIZES.items()}
