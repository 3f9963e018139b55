"""The feed-forward layer over the features, timm's own (Dosovitskiy et al., arXiv 2010.11929, section 3.1)."""

from __future__ import annotations

from timm.layers import Mlp
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """timm's `Mlp`, unchanged."""
    return Mlp


def params(run: Run, tokens: int) -> int:
    """Two linear layers with biases: 2·D·H + H + D for H = r·D."""
    hidden = int(run.dim * run.mlp_ratio)
    return 2 * run.dim * hidden + hidden + run.dim


def macs(run: Run, tokens: int) -> int:
    """Two linear layers for every token: 2·N·D·(r·D)."""
    return 2 * tokens * run.dim * int(run.dim * run.mlp_ratio)


def activations(run: Run, tokens: int) -> int:
    """Hidden layer and output for every token: N·D·(r + 1)."""
    return tokens * (int(run.dim * run.mlp_ratio) + run.dim)
