"""One linear layer on each patch: a convolution whose stride is its size, timm's `PatchEmbed` (arXiv 2010.11929)."""

from __future__ import annotations

from timm.layers import PatchEmbed
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run) -> type[nn.Module]:
    """Return the class of timm's `PatchEmbed`."""
    return PatchEmbed


def params(run: Run, channels: int) -> int:
    """Return P²·C·D + D: one linear layer with its bias."""
    return run.patch_size**2 * channels * run.dim + run.dim


def macs(run: Run, channels: int) -> int:
    """Return S²·C·D: one product per pixel, image channel and output channel."""
    return run.side**2 * run.patch_size**2 * channels * run.dim


def activations(run: Run) -> int:
    """Return the number of outputs: one vector per patch."""
    return run.side**2 * run.dim
