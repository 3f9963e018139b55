"""Weights in the naming of the paper's released code (arXiv 2105.02723), and weight files that run no code.

A model given to `accept` takes such weights wherever weights are loaded into it: by timm's `checkpoint_path=`, by a
timm script's `--checkpoint`, by `load_state_dict`. Names are exchanged on the way, and the map of position embeddings
is resized once, where the released code resizes it at every step. `load` also reads the file.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from ablate.spec.errors import SpecError
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run

Weights = dict[str, Any]

# Their name of a block's part, and timm's: theirs are numbered in the order of computing, features first.
PARTS = {"norm1": "norm2", "mlp1": "mlp", "norm2": "norm1", "mlp2": "attn"}
MAP, CLASS_POSITION = "pos_encoding.pos_embed", "pos_encoding.cls_pos_embed"
AVERAGES = ("ema", "state_dict_ema", "model_ema")

# Fields that change what the same weights compute.
_MEANING = ("mixer", "channel", "order", "token_norm", "channel_norm", "pool")


def accept(model: VisionTransformer, run: Run) -> None:
    """Let a run's model take weights in the released naming too, and name in one sentence what does not fit."""
    model.register_load_state_dict_pre_hook(partial(_before_loading, run))  # type: ignore[no-untyped-call]


def load(model: VisionTransformer, path: str | Path) -> None:
    """Load a weight file into a model, all of it.

    Raises:
        SpecError: when the file cannot be read without running code, or its weights do not fit.
    """
    fit(model, read(path), path)


def fit(model: nn.Module, weights: Weights, path: str | Path) -> None:
    """Give a model weights read from a file, all of them.

    Raises:
        SpecError: when they do not fit.
    """
    try:
        model.load_state_dict(weights)
    except (RuntimeError, SpecError) as error:
        raise SpecError(f"{path} does not fit the model: {' '.join(str(error).split())}") from None


def read(path: str | Path, *, averaged: bool = False) -> Weights:
    """The tensors of a weight file, from under "model" or "state_dict" where it has that.

    Args:
        averaged: take the moving average of the weights that lies beside them.

    Raises:
        SpecError: when there is no such file, it is damaged, it is a pickle that wants more than tensors, or no average
            lies in it.
    """
    found = content(path)
    if averaged:
        return _average(found, path)
    for outer in ("state_dict", "model"):
        found = found.get(outer, found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping):
        raise SpecError(f"{path} holds a {type(found).__name__}; wanted are tensors by name")
    return dict(found)


def _average(found: Any, path: str | Path) -> Weights:
    """The averaged weights, under this suite's name for them, timm's or DeiT's."""
    for name in AVERAGES:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping) and found[name]:
            return dict(found[name])
    raise SpecError(f"{path} holds no averaged weights; wanted is a file that has them under {' or '.join(AVERAGES)}")


def content(path: str | Path) -> Any:
    """What a weight file holds, read without running code: tensors, plain values, and containers of them.

    Raises:
        SpecError: when there is no such file, it is damaged, or it is a pickle that wants more.
    """
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        # timm's training checkpoints hold their options as a Namespace: it holds values and does nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SpecError(f"there is no weight file {path}") from None
    except pickle.UnpicklingError:
        raise SpecError(f"{path} is not read: {_wanted(path)}") from None
    except Exception as error:  # a file that is no pickle can raise anything
        raise SpecError(f"{path} cannot be read as a weight file: {' '.join(str(error).split())}") from None


def _wanted(path: str | Path) -> str:
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # as above
        names = []
    what = f"it wants {', '.join(names)}, and unpickling that could run code" if names else "it is no pickle of tensors"
    return f"{what}; wanted is a file that holds tensors by name"


def converted(weights: Mapping[str, Any], run: Run) -> Weights:
    """Weights of the released code's model under timm's names, with the position map resized to the run's grid.

    Raises:
        SpecError: when the run's model computes something else with these weights.
    """
    _check_meaning(run)
    if missing := [name for name in (MAP, CLASS_POSITION) if name not in weights]:
        raise SpecError(f"the weights lack {' and '.join(missing)}")
    out = {_ours(name): value for name, value in weights.items() if name not in (MAP, CLASS_POSITION)}
    return {**out, "pos_embed": positions(weights[MAP], weights[CLASS_POSITION], run.side)}


def positions(grid: torch.Tensor, cls: torch.Tensor, side: int) -> torch.Tensor:
    """Position embeddings (1, 1 + side², D) from a map (1, D, H, W) and the class token's (1, 1, D).

    Bilinear, with corners not aligned: so the released code resizes its map, and a pixel of it stands for a patch, an
    area whose edges coincide at both sizes.
    """
    if not isinstance(grid, torch.Tensor) or grid.dim() != 4:
        raise SpecError(f"{MAP} is {_size(grid)}; wanted is a map, 1×D×H×W")
    if _size(cls) != (wanted := f"1×1×{grid.shape[1]}"):
        raise SpecError(f"{CLASS_POSITION} is {_size(cls)}; wanted is {wanted}")
    if grid.shape[2:] != (side, side):
        grid = F.interpolate(grid, size=(side, side), mode="bilinear", align_corners=False)
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], dim=1)


def is_released(names: Mapping[str, Any]) -> bool:
    """Whether weights carry the released code's names."""
    return any(name.startswith("pos_encoding.") or re.match(r"blocks\.\d+\.mlp[12]\.", name) for name in names)


def described(weights: Mapping[str, Any]) -> tuple[Run, int, int]:
    """The run whose model released weights are of, its channels and its classes, all read from their shapes.

    Raises:
        SpecError: when they are not all there, or of sizes that no such model has.
    """
    names = ("patch_embed.proj.weight", "blocks.0.norm2.weight", "blocks.0.mlp1.fc1.weight", "blocks.0.mlp2.fc1.weight")
    try:
        patches, norm, features, tokens, head = (tuple(weights[name].shape) for name in (*names, "head.weight"))
        dim, channels, patch_size, _ = patches
        fields = {
            "dim": dim,
            "depth": len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
            "heads": 1,  # a feed-forward model has none
            "patch_size": patch_size,
            "image_size": math.isqrt(norm[0] - 1) * patch_size,
            "mlp_ratio": features[0] / dim,
            "token_hidden": tokens[0],
        }
        return Run.from_dict(PAPER["linear_tiny"] | fields), channels, head[0]
    except (KeyError, AttributeError, ValueError, IndexError) as error:
        raise SpecError(
            f"the weights are in the released naming, and not those of its feed-forward model: {error}"
        ) from None


def _check_meaning(run: Run) -> None:
    paper = Run.from_dict(PAPER["linear_tiny"])
    for name in _MEANING:
        if (mine := getattr(run, name)) != (wanted := getattr(paper, name)):
            raise SpecError(
                f"the weights are of the paper's feed-forward model; {name} is {mine!r}, wanted is {wanted!r}"
            )


def _ours(name: str) -> str:
    found = re.fullmatch(r"(blocks\.\d+\.)(\w+)(\..+)", name)
    return found[1] + PARTS.get(found[2], found[2]) + found[3] if found else name


def _before_loading(run: Run, model: nn.Module, weights: Weights, prefix: str, *_: Any) -> None:
    """PyTorch's hook: `weights` is a copy of what the caller gave, and what stays in it is loaded."""
    given = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    own = model.state_dict()
    if is_released(given):
        given = converted(given, run)
        _check_complete(given, own)
        for name in [name for name in weights if name.startswith(prefix)]:
            del weights[name]
        weights.update({prefix + name: value for name, value in given.items()})
    _check_sizes(given, own)


def _check_complete(given: Weights, own: Weights) -> None:
    """All names, except for a head that was taken off: timm does that where the number of classes is another."""
    lacking = [name for name in own if name not in given and not name.startswith("head.")]
    if lacking:
        raise SpecError(f"the weights lack {_list(lacking)}, in timm's names")
    if spare := [name for name in given if name not in own]:
        raise SpecError(f"the weights hold {_list(spare)}, in timm's names, which the model has not")


def _check_sizes(given: Weights, own: Weights) -> None:
    wrong = [name for name, value in given.items() if name in own and _size(value) != _size(own[name])]
    if wrong:
        pairs = [f"{name}, which is {_size(given[name])} and not {_size(own[name])}" for name in wrong]
        raise SpecError(f"the weights do not fit in {_list(pairs)}")


def _size(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    return "×".join(map(str, value.shape)) or "a number"


def _list(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
