"""A depth-wise 3×3 convolution on the grid of patches (ResMLP, arXiv 2105.03404, table 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ablate.model.mixers._grid import GridMixer
from ablate.spec.run import Run

BEHAVIOUR = 1
WINDOW = 3


class DepthwiseConv(GridMixer):
    """One 3×3 filter per channel, with zero padding."""

    def __init__(self, dim: int, proj_drop: float = 0.0, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, WINDOW, padding=WINDOW // 2, groups=dim, device=device, dtype=dtype)
        self.proj_drop = nn.Dropout(proj_drop)

    def mix(self, grid: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.proj_drop(self.conv(grid))
        return mixed


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its grid size."""
    return type("DepthwiseConv", (DepthwiseConv,), {"side": run.side})


def params(run: Run, tokens: int) -> int:
    """Return 10·D: a filter and a bias per channel."""
    return (WINDOW**2 + 1) * run.dim


def macs(run: Run, tokens: int) -> int:
    """Return 9·P·D for P patches: nine products per patch and channel."""
    return WINDOW**2 * run.side**2 * run.dim


def activations(run: Run, tokens: int) -> int:
    """Return P·D: one output per patch and channel."""
    return run.side**2 * run.dim
