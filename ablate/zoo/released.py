"""The released weights of arXiv 2105.02723.

After `accept`, a model converts such weights whenever weights are loaded: with `checkpoint_path=` in timm,
`--checkpoint` of a timm script, or `load_state_dict`. Parameters are renamed, and the map of position embeddings is
resized once, whereas the released code resizes it at every step. `load` also reads the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from ablate.spec.errors import SpecError
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run
from ablate.zoo.weight_files import Weights, read

# Names of the parts of a block in the released code and in timm. The released ones are numbered in the order of
# computation, channels first.
PARTS = {"norm1": "norm2", "mlp1": "mlp", "norm2": "norm1", "mlp2": "attn"}
MAP, CLASS_POSITION = "pos_encoding.pos_embed", "pos_encoding.cls_pos_embed"

# Fields that change what a model computes with the same weights.
_COMPUTATION = ("mixer", "channel", "order", "token_norm", "channel_norm", "pool")


def accept(model: VisionTransformer, run: Run) -> None:
    """Let the model of a run load released weights too, and report in one sentence which weights do not fit."""
    model.register_load_state_dict_pre_hook(partial(_convert_before_loading, run))  # type: ignore[no-untyped-call]


def load(model: VisionTransformer, path: str | Path) -> None:
    """Load all weights of a file into a model.

    Raises:
        SpecError: when the file cannot be read without running code, or its weights do not fit.
    """
    fit(model, read(path), path)


def fit(model: nn.Module, weights: Weights, path: str | Path) -> None:
    """Load weights that were read from a file into a model.

    Raises:
        SpecError: when they do not fit.
    """
    try:
        model.load_state_dict(weights)
    except (RuntimeError, SpecError) as error:
        raise SpecError(f"{path} does not fit the model: {' '.join(str(error).split())}") from None


def convert(weights: Mapping[str, Any], run: Run) -> Weights:
    """Rename released weights to timm's names, and resize their position map to the grid of a run.

    Raises:
        SpecError: when the model of the run would compute something else with these weights.
    """
    _check_computation(run)
    if missing := [name for name in (MAP, CLASS_POSITION) if name not in weights]:
        raise SpecError(f"the weights lack {' and '.join(missing)}")
    out = {_timm_name(name): value for name, value in weights.items() if name not in (MAP, CLASS_POSITION)}
    return {**out, "pos_embed": positions(weights[MAP], weights[CLASS_POSITION], run.side)}


def positions(grid: torch.Tensor, cls: torch.Tensor, side: int) -> torch.Tensor:
    """Return position embeddings (1, 1 + side², D) from a map (1, D, H, W) and that of the class token (1, 1, D).

    The map is resized as in the released code: bilinear, with corners not aligned, since its pixels are patches, areas
    whose outer edges coincide at both sizes.
    """
    if not isinstance(grid, torch.Tensor) or grid.dim() != 4:
        raise SpecError(f"{MAP} must be a map 1×D×H×W, got {_size(grid)}")
    if _size(cls) != (expected := f"1×1×{grid.shape[1]}"):
        raise SpecError(f"{CLASS_POSITION} must be {expected}, got {_size(cls)}")
    if grid.shape[2:] != (side, side):
        grid = F.interpolate(grid, size=(side, side), mode="bilinear", align_corners=False)
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], dim=1)


def is_released(names: Mapping[str, Any]) -> bool:
    """Return whether weights have the names of the released code."""
    return any(name.startswith("pos_encoding.") or re.match(r"blocks\.\d+\.mlp[12]\.", name) for name in names)


def describe(weights: Mapping[str, Any]) -> tuple[Run, int, int]:
    """Return run, channels and classes of the model of released weights, from their shapes.

    Raises:
        SpecError: when weights are missing, or have shapes of no such model.
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
            f"the weights have the names of the released code, but are not of its feed-forward model: {error}"
        ) from None


def _check_computation(run: Run) -> None:
    paper = Run.from_dict(PAPER["linear_tiny"])
    for name in _COMPUTATION:
        if (value := getattr(run, name)) != (expected := getattr(paper, name)):
            raise SpecError(f"{name} must be {expected!r} for weights of the paper's feed-forward model, got {value!r}")


def _timm_name(name: str) -> str:
    found = re.fullmatch(r"(blocks\.\d+\.)(\w+)(\..+)", name)
    return found[1] + PARTS.get(found[2], found[2]) + found[3] if found else name


def _convert_before_loading(run: Run, model: nn.Module, weights: Weights, prefix: str, *_: Any) -> None:
    """Convert released weights; PyTorch calls this hook with a copy of the weights, and loads what remains in it."""
    given = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    own = model.state_dict()
    if is_released(given):
        given = convert(given, run)
        _check_complete(given, own)
        for name in [name for name in weights if name.startswith(prefix)]:
            del weights[name]
        weights.update({prefix + name: value for name, value in given.items()})
    _check_sizes(given, own)


def _check_complete(given: Weights, own: Weights) -> None:
    """Require all weights, except for a head, which timm removes if the number of classes differs."""
    lacking = [name for name in own if name not in given and not name.startswith("head.")]
    if lacking:
        raise SpecError(f"the weights lack {_list(lacking)} (names in timm)")
    if spare := [name for name in given if name not in own]:
        raise SpecError(f"the model has no {_list(spare)} (names in timm), which the weights contain")


def _check_sizes(given: Weights, own: Weights) -> None:
    wrong = [name for name, value in given.items() if name in own and _size(value) != _size(own[name])]
    if wrong:
        pairs = [f"{name} must be {_size(own[name])}, got {_size(given[name])}" for name in wrong]
        raise SpecError(f"the weights do not fit: {_list(pairs)}")


def _size(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    return "×".join(map(str, value.shape)) or "a number"


def _list(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
