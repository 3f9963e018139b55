"""Mixers on the grid of patches. A class token is not mixed: its output is zero."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class GridMixer(nn.Module):
    """Maps (B, N, D) to (B, N, D): `mix` for the patches as (B, D, side, side), zeros for a class token."""

    side: int

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        prefix = x.shape[1] - self.side**2
        grid = x[:, prefix:].transpose(1, 2).reshape(len(x), -1, self.side, self.side)
        mixed = self.mix(grid).flatten(2).transpose(1, 2)
        return F.pad(mixed, (0, 0, prefix, 0))

    def mix(self, grid: torch.Tensor) -> torch.Tensor:
        """Map (B, D, side, side) to the same shape."""
        raise NotImplementedError
