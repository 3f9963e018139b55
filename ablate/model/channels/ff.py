"""The feed-forward layer over the channels, timm's `Mlp` (Dosovitskiy et al., arXiv 2010.11929, section 3.1)."""

from __future__ import annotations

from timm.layers import Mlp
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class of timm's `Mlp`."""
    return Mlp


def params(run: Run, tokens: int) -> int:
    """Return 2·D·H + H + D for H = r·D: two linear layers with biases."""
    hidden = int(run.dim * run.mlp_ratio)
    return 2 * run.dim * hidden + hidden + run.dim


def macs(run: Run, tokens: int) -> int:
    """Return 2·N·D·(r·D): two linear layers per token."""
    return 2 * tokens * run.dim * int(run.dim * run.mlp_ratio)


def activations(run: Run, tokens: int) -> int:
    """Return N·D·(r + 1): hidden layer and output per token."""
    return tokens * (int(run.dim * run.mlp_ratio) + run.dim)
