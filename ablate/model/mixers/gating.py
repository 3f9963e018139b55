"""Spatial gating (gMLP, arXiv 2105.08050, section 2): D to 2E, one half gated by a linear map of the other, E to D.

The block of gMLP has no other channel mixer: use `channel="none"`. E is `gating_ratio` times D, 3 in the models of gMLP
(256 channels, 1,536 before the gate). The layers are timm's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers import GatedMlp
from timm.models.mlp_mixer import SpatialGatingUnit
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1
KNOB = "gating_ratio"


class Gating(GatedMlp):
    """timm's gated MLP with its spatial gating unit; maps (B, N, D) to (B, N, D)."""

    tokens: int
    width: int

    def __init__(self, dim: int, proj_drop: float = 0.0, device: Any = None, dtype: Any = None, **_: Any) -> None:
        gate: Any = partial(SpatialGatingUnit, seq_len=self.tokens)
        super().__init__(dim, 2 * self.width, gate_layer=gate, drop=proj_drop, device=device, dtype=dtype)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        mixed: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return mixed


def _width(run: Run) -> int:
    return round(run.gating_ratio * run.dim)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its number of tokens and width E."""
    return type("Gating", (Gating,), {"tokens": tokens, "width": _width(run)})


def params(run: Run, tokens: int) -> int:
    """Return 3·D·E + D + 4·E + N² + N: two linear layers, the norm and the N×N map of the gate, with biases."""
    width = _width(run)
    return 3 * run.dim * width + run.dim + 4 * width + tokens**2 + tokens


def macs(run: Run, tokens: int) -> int:
    """Return 3·N·D·E + N²·E: D to 2E and E to D per token, and N×N per gated channel."""
    width = _width(run)
    return 3 * tokens * run.dim * width + tokens**2 * width


def activations(run: Run, tokens: int) -> int:
    """Return 2·N·E before the gate, plus N·E for the gate and N·D for the output."""
    return 3 * tokens * _width(run) + tokens * run.dim
