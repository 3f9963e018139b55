"""One linear layer on each patch: a convolution whose stride is its size, timm's `PatchEmbed` (arXiv 2010.11929)."""

from __future__ import annotations

from timm.layers import PatchEmbed
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run) -> type[nn.Module]:
    """timm's layer, unchanged."""
    return PatchEmbed


def params(run: Run, channels: int) -> int:
    """One linear layer with its bias: P²·C·D + D."""
    return run.patch_size**2 * channels * run.dim + run.dim


def macs(run: Run, channels: int) -> int:
    """Every pixel of every channel meets every feature once: S²·C·D."""
    return run.side**2 * run.patch_size**2 * channels * run.dim


def activations(run: Run) -> int:
    """One vector a patch."""
    return run.side**2 * run.dim
