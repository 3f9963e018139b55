"""Average pooling of 3×3 patches minus the identity (PoolFormer, arXiv 2111.11418, section 3.2): no parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ablate.model.mixers._grid import GridMixer
from ablate.spec.run import Run

BEHAVIOUR = 1
WINDOW = 3


class Pool(GridMixer):
    """The mean of the 3×3 neighbours inside the image, minus the patch itself."""

    def __init__(self, dim: int, **_: Any) -> None:
        super().__init__()

    def mix(self, grid: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(grid, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False) - grid


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its grid size."""
    return type("Pool", (Pool,), {"side": run.side})


def params(run: Run, tokens: int) -> int:
    """Return 0: a mean has no parameters."""
    return 0


def macs(run: Run, tokens: int) -> int:
    """Return 9·P·D for P patches: nine additions per patch and channel, counted as MACs."""
    return WINDOW**2 * run.side**2 * run.dim


def uncounted_macs(run: Run, tokens: int) -> int:
    """Return all of them: torch's counter does not count the additions of the pooling."""
    return macs(run, tokens)


def activations(run: Run, tokens: int) -> int:
    """Return P·D: one mean per patch and channel."""
    return run.side**2 * run.dim
