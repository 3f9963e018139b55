"""Recipes: each is a valid run, and published ones match their source."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from ablate import CIFAR, CIFAR10, DEIT, DIGITS, IMAGENET, PAIRS, SIMPLE, load
from ablate.model.cost import complexity
from ablate.spec.run import Run

RECIPES: dict[str, Any] = {"CIFAR": CIFAR, "DEIT": DEIT, "SIMPLE": SIMPLE}
SCALES = {"CIFAR10": CIFAR10, "DIGITS": DIGITS, "IMAGENET": IMAGENET, "PAIRS": PAIRS}

# facebookresearch/deit, main.py of May 2021: option, default, and the corresponding field of `Run` with its value.
# Its lr is 5e-4 · batch / 512, at a batch size of 8 × 128.
DEITS: dict[str, tuple[object, str, object]] = {
    "--batch-size": (128, "batch_size", 8 * 128),
    "--epochs": (300, "epochs", 300),
    "--input-size": (224, "image_size", 224),
    "--drop": (0.0, "drop", 0.0),
    "--drop-path": (0.1, "drop_path", 0.1),
    "--model-ema-decay": (0.99996, "ema", 0.99996),
    "--opt": ("adamw", "opt", "adamw"),
    "--clip-grad": (None, "clip_grad", 0.0),
    "--weight-decay": (0.05, "weight_decay", 0.05),
    "--lr": (5e-4, "lr", 5e-4 * 8 * 128 / 512),
    "--warmup-lr": (1e-6, "warmup_lr", 1e-6),
    "--min-lr": (1e-5, "min_lr", 1e-5),
    "--warmup-epochs": (5, "warmup_epochs", 5),
    "--color-jitter": (0.4, "color_jitter", 0.4),
    "--aa": ("rand-m9-mstd0.5-inc1", "auto_augment", "rand-m9-mstd0.5-inc1"),
    "--smoothing": (0.1, "smoothing", 0.1),
    "--repeated-aug": (3, "repeats", 3),
    "--reprob": (0.25, "random_erasing", 0.25),
    "--mixup": (0.8, "mixup", 0.8),
    "--cutmix": (1.0, "cutmix", 1.0),
    "--mixup-switch-prob": (0.5, "mix_switch", 0.5),
    "--data-set": ("IMNET", "dataset", "imagenet"),
    "--eval-crop-ratio": (0.875, "eval_crop", 0.875),
    "timm's scale, below": (0.08, "crop_min_area", 0.08),
    "timm's hflip": (0.5, "hflip", 0.5),
    "torch.cuda.amp": ("float16", "precision", "fp16"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_valid_run(name: str) -> None:
    for mixer in ("attention", "patch_ff"):
        run = Run(**RECIPES[name], mixer=mixer)
        assert run.to_dict().items() >= RECIPES[name].items()


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_is_a_valid_run(name: str) -> None:
    assert Run.from_dict(SCALES[name].fields).key


def test_the_recipe_deit_equals_the_published_defaults() -> None:
    assert {name: value for _, name, value in DEITS.values()} == DEIT


def test_fields_outside_the_recipe_deit_are_the_model_or_neutral() -> None:
    """A field outside the recipe keeps its default: the model, the held-out part, the seed."""
    rest = {item.name: item.default for item in fields(Run) if item.name not in DEIT}
    after = list(rest)[list(rest).index("holdout") :]
    assert {name: rest[name] for name in after} == {
        "holdout": 0.0,
        "train_fraction": 1.0,
        "loader": "auto",
        "exif_transpose": False,
        "crop_padding": 0,
        "decay_pos_embed": False,
        "seed": 0,
    }


def test_the_papers_tiny_is_the_imagenet_scale() -> None:
    run = Run.from_dict(IMAGENET.fields)
    assert (run.dim, run.depth, run.heads, run.patch_size) == (192, 12, 3, 16)
    assert complexity(run, 3, 1000)["params"] == 5_717_416


def test_cifar_is_small_and_short() -> None:
    run = Run.from_dict(CIFAR10.fields)
    assert complexity(run, 3, 10)["params"] < 2e6
    assert run.epochs == 20
    assert run.holdout == 0, "accuracy is reported without a held-out part"
    assert run.precision == "bf16"


def test_the_quickstart_has_three_scales_and_unchanged_runs() -> None:
    study = load("quickstart")
    assert list(study.scales) == ["digits", "cifar10", "imagenet"]
    assert study.runs()[0].key == study.runs("digits")[0].key == "08e4f74ab3"
    assert [len(study.runs(scale)) for scale in study.scales] == [9, 9, 3]
