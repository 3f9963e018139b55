"""The scales of the named studies: a recipe with a model, for the `scales` of a study."""

from __future__ import annotations

from typing import Any

from ablate.spec.recipes import CIFAR, DEIT, DIGITS_FIELDS, PATCHES_16, SIZES
from ablate.study.study import Scale

DIGITS = Scale(DIGITS_FIELDS, expect="about a minute on 2 cores")

# Two digits, equal or not, in four patches, two per digit. Width, depth, rate, batch size and epochs were chosen by
# held-out accuracy, with attention, and without mixing but with the norm after the pooling; one seed each.
PAIRS = Scale(
    {
        "dataset": "digits_pairs",
        "image_size": 16,
        "holdout": 0.2,
        "patch_size": 8,
        "dim": 128,
        "depth": 2,
        "heads": 4,
        "mlp_ratio": 2.0,
        "pool": "avg",
        "lr": 5e-4,
        "weight_decay": 0.0,
        "batch_size": 32,
        "epochs": 20,
        "warmup_epochs": 2,
    },
    expect="about six minutes on 2 cores",
)

# Small and short enough for the 27 runs of a study on one GPU. No Mixup, CutMix and drop path, because 20 epochs are
# probably too few to benefit from them. This and the width and depth are not tuned.
_SHORT: dict[str, Any] = {"epochs": 20, "warmup_epochs": 2, "mixup": 0.0, "cutmix": 0.0, "drop_path": 0.0}

_SMALL: dict[str, Any] = {"patch_size": 4, "dim": 192, "depth": 6, "heads": 3, "mlp_ratio": 2.0}

CIFAR10 = Scale({**CIFAR, **_SHORT, **_SMALL}, expect="on one GPU; not measured yet", seeds=3)

# One seed, as in the paper: 300 epochs per variant. Request more with --seeds.
IMAGENET = Scale({**DEIT, **PATCHES_16, **SIZES["tiny"]}, expect="300 epochs on many GPUs; not measured yet", seeds=1)
