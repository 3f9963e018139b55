"""A random patch projection that is never trained: does the patch embedding carry the model (arXiv 2105.02723, §4)?"""

from __future__ import annotations

from typing import Any

from timm.layers import PatchEmbed
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1
FROZEN = True


class FrozenPatchEmbed(PatchEmbed):
    """timm's patch embedding with its initial weights, which are not trained."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.proj.requires_grad_(False)


def layer(run: Run) -> type[nn.Module]:
    """Return the class."""
    return FrozenPatchEmbed


def params(run: Run, channels: int) -> int:
    """Return P²·C·D + D: one linear layer with its bias."""
    return run.patch_size**2 * channels * run.dim + run.dim


def macs(run: Run, channels: int) -> int:
    """Return S²·C·D: one product per pixel, image channel and output channel."""
    return run.side**2 * run.patch_size**2 * channels * run.dim


def activations(run: Run) -> int:
    """Return the number of outputs: one vector per patch."""
    return run.side**2 * run.dim
