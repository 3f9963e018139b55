"""The paper's models and a family open to every field of `Run`, under names that timm's `create_model` knows.

`import ablate.timm_models` registers them. Each is a `Run` passed to `ablate.model.build.build`; none is defined here.
Arguments are timm's (`img_size`, `in_chans`, `num_classes`, `drop_rate`, `drop_path_rate`, …) or the fields of `Run`
that describe a model: `create_model("ablate_tiny", mixer="pool", pool="avg")`.

timm's `drop_rate`, and so `--drop` of its scripts, is the field `drop` here: after the position embedding and inside
the branches that have dropout, as in the paper's released code; timm's own ViT drops before its head, which is never
done here.
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

# timm's word for a field.
ALIASES = {
    "img_size": "image_size",
    "embed_dim": "dim",
    "num_heads": "heads",
    "drop_rate": "drop",
    "drop_path_rate": "drop_path",
    "global_pool": "pool",
}

_NAMES = [item.name for item in fields(Run)]
# The fields before the dataset's describe the model; its training is the script's business.
MODEL_FIELDS = (*_NAMES[: _NAMES.index("dataset")], "image_size", "seed")

default_cfgs = generate_default_cfgs(
    {
        name: {
            "num_classes": 1000,
            "input_size": (3, model["image_size"], model["image_size"]),
            "fixed_input_size": True,
            "crop_pct": 0.875,  # DeiT's evaluation, which the paper's numbers come from
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
    """The run that a registered model is, with arguments in timm's words or `Run`'s.

    Without a `seed` its weights are drawn from torch's global stream, as those of timm's models are, so that a
    script's own `--seed` decides them.

    Raises:
        SpecError: when an argument is unknown, wrong, or given twice with two values.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    given = _in_fields(arguments)
    if "seed" not in given:
        given["seed"] = int(torch.randint(2**62, (), device="cpu"))
    return Run.from_dict({**MODELS[name], **given})


def _in_fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of `Run`'s fields."""
    given: dict[str, Any] = {}
    for word in sorted(arguments, key=lambda word: word in ALIASES):  # the fields' own names first
        name, value = ALIASES.get(word, word), _value(word, arguments[word])
        if name not in MODEL_FIELDS:
            raise unknown("argument of a model", word, [*MODEL_FIELDS, *ALIASES])
        # timm's scripts pass their options also when nobody has asked for them: --drop as 0.
        if given.setdefault(name, value) != value and value != 0:
            raise SpecError(f"{name} is {given[name]!r} and, as {word}, {value!r}; wanted is one of them")
    return given


def _value(word: str, value: Any) -> Any:
    """timm's value as the field's: a side for a square's two, `cls` for `token`."""
    if word == "global_pool":
        return {"token": "cls"}.get(value, value)
    if word in ("img_size", "image_size") and isinstance(value, tuple | list):
        if len(set(value)) != 1:
            raise SpecError(f"{word} is {'×'.join(map(str, value))}; wanted is a square, or its side")
        return value[0]
    return value


def _model(
    name: str, in_chans: int, num_classes: int, device: Any = None, dtype: torch.dtype | None = None, **arguments: Any
) -> VisionTransformer:
    """What timm calls where its own models have their class."""
    run = run_of(name, **arguments)
    model = build(run, in_chans, num_classes)
    accept(model, run)
    return model.to(device=device, dtype=dtype)


def _create(name: str, pretrained: bool, arguments: dict[str, Any]) -> VisionTransformer:
    if pretrained and not (arguments.get("pretrained_cfg") or arguments.get("pretrained_cfg_overlay")):
        raise SpecError(
            f"{name} has no weights that timm could download; wanted is checkpoint_path, the path of a file"
        )
    # timm notes the size of the input under its own word, and fills in the default where that word is missing.
    if "image_size" in arguments and "img_size" not in arguments:
        arguments["img_size"] = arguments.pop("image_size")
    features = {"out_indices": arguments.pop("out_indices", 3), "feature_cls": "getter"}
    return build_model_with_cfg(partial(_model, name), name, pretrained, feature_cfg=features, **arguments)


def _entry_point(name: str) -> Callable[..., VisionTransformer]:
    def create(pretrained: bool = False, **arguments: Any) -> VisionTransformer:
        return _create(name, pretrained, arguments)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"`{name}` of `ablate.spec.recipes`, as timm's `create_model` makes it."
    return create


globals().update({name: register_model(_entry_point(name)) for name in MODELS})
