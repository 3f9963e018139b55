"""A random patch projection that is never trained: does the patch embedding carry the model (arXiv 2105.02723, §4)?"""

from __future__ import annotations

from typing import Any

from timm.layers import PatchEmbed
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1
FROZEN = True


class FrozenPatchEmbed(PatchEmbed):
    """timm's patch embedding at its initial weights."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.proj.requires_grad_(False)


def layer(run: Run) -> type[nn.Module]:
    """The frozen layer."""
    return FrozenPatchEmbed


def params(run: Run, channels: int) -> int:
    """One linear layer with its bias: P²·C·D + D."""
    return run.patch_size**2 * channels * run.dim + run.dim


def macs(run: Run, channels: int) -> int:
    """Every pixel of every channel meets every feature once: S²·C·D."""
    return run.side**2 * run.patch_size**2 * channels * run.dim


def activations(run: Run) -> int:
    """One vector a patch."""
    return run.side**2 * run.dim
