"""The models of ablate in timm: those of arXiv 2105.02723, and a family that accepts every field of `Run`.

`import ablate.timm_models` registers them for timm's `create_model`. Each is the model of a `Run`. Arguments are those
of timm (`img_size`, `in_chans`, `num_classes`, `drop_rate`, `drop_path_rate`, …) or fields of `Run` that describe a
model: `create_model("ablate_tiny", mixer="pool", pool="avg")`.

timm's `drop_rate`, which is `--drop` of its scripts, sets the field `drop`: dropout after the position embedding and in
the layers that have dropout, as in the released code of the paper. timm's ViT uses it only before its head, where
ablate has no dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

from ablate.model.build import build
from ablate.spec.errors import SpecError, unknown
from ablate.spec.recipes import FAMILY, PAPER
from ablate.spec.run import Run
from ablate.zoo.released import accept

MODELS: Mapping[str, Mapping[str, Any]] = {**PAPER, **FAMILY}

# timm's names of fields.
ALIASES = {
    "img_size": "image_size",
    "embed_dim": "dim",
    "num_heads": "heads",
    "drop_rate": "drop",
    "drop_path_rate": "drop_path",
    "global_pool": "pool",
}

_NAMES = [item.name for item in fields(Run)]
# The fields before `dataset` describe the model; timm's scripts set those of the training.
MODEL_FIELDS = (*_NAMES[: _NAMES.index("dataset")], "image_size", "seed")

default_cfgs = generate_default_cfgs(
    {
        name: {
            "num_classes": 1000,
            "input_size": (3, model["image_size"], model["image_size"]),
            "fixed_input_size": True,
            "crop_pct": 0.875,  # as in DeiT, on which the evaluation of the paper is based
            "interpolation": "bicubic",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        }
        for name, model in MODELS.items()
    }
)


def run_of(name: str, **arguments: Any) -> Run:
    """Return the run of a registered model, with arguments named as in timm or as in `Run`.

    Without a `seed`, one is drawn from torch's global generator, which the `--seed` of a timm script seeds.

    Raises:
        SpecError: when an argument is unknown, invalid, or given twice with different values.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    given = _to_fields(arguments)
    if "seed" not in given:
        given["seed"] = int(torch.randint(2**62, (), device="cpu"))
    return Run.from_dict({**MODELS[name], **given})


def _to_fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by the names of the fields of `Run`."""
    given: dict[str, Any] = {}
    for word in sorted(arguments, key=lambda word: word in ALIASES):  # names of fields first
        name, value = ALIASES.get(word, word), _value(word, arguments[word])
        if name not in MODEL_FIELDS:
            raise unknown("argument of a model", word, [*MODEL_FIELDS, *ALIASES])
        # timm's scripts also pass options that the user has not set, such as --drop as 0.
        if given.setdefault(name, value) != value and value != 0:
            raise SpecError(f"{name} and {word} must not differ, got {given[name]!r} and {value!r}; pass one of them")
    return given


def _value(word: str, value: Any) -> Any:
    """Convert a value of timm to that of a field: one side for two equal ones, `cls` for `token`."""
    if word == "global_pool":
        return {"token": "cls"}.get(value, value)
    if word in ("img_size", "image_size") and isinstance(value, tuple | list):
        if len(set(value)) != 1:
            raise SpecError(f"{word} must be a square, got {'×'.join(map(str, value))}")
        return value[0]
    return value


def _model(
    name: str, in_chans: int, num_classes: int, device: Any = None, dtype: torch.dtype | None = None, **arguments: Any
) -> VisionTransformer:
    """Return a model; timm calls this function in place of a model class."""
    run = run_of(name, **arguments)
    model = build(run, in_chans, num_classes)
    accept(model, run)
    return model.to(device=device, dtype=dtype)


def _create(name: str, pretrained: bool, arguments: dict[str, Any]) -> VisionTransformer:
    if pretrained and not (arguments.get("pretrained_cfg") or arguments.get("pretrained_cfg_overlay")):
        raise SpecError(f"{name} has no weights to download; pass the path of a file as checkpoint_path")
    # timm stores the input size under its own name, and uses the default if that name is missing.
    if "image_size" in arguments and "img_size" not in arguments:
        arguments["img_size"] = arguments.pop("image_size")
    features = {"out_indices": arguments.pop("out_indices", 3), "feature_cls": "getter"}
    return build_model_with_cfg(partial(_model, name), name, pretrained, feature_cfg=features, **arguments)


def _entry_point(name: str) -> Callable[..., VisionTransformer]:
    def create(pretrained: bool = False, **arguments: Any) -> VisionTransformer:
        return _create(name, pretrained, arguments)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"Return the model `{name}` of `ablate.spec.recipes`; see timm's `create_model`."
    return create


globals().update({name: register_model(_entry_point(name)) for name in MODELS})
