"""The real part of the discrete Fourier transform over tokens and channels (FNet, arXiv 2105.03824, section 3.2).

Computed in fp32, as half precision has no such transform for every length. The transform is scaled by 1/√(N·D), which
is our change: FNet normalises after the sum, where a scale cancels, and a pre-norm block adds the branch as it is.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


class Fourier(nn.Module):
    """A 2-D transform without parameters; maps (B, N, D) to (B, N, D)."""

    def __init__(self, dim: int, **_: Any) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        precise = x if x.dtype == torch.float64 else x.float()
        mixed: torch.Tensor = torch.fft.fft2(precise, norm="ortho").real  # autocast leaves transforms alone
        return mixed.to(x.dtype)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """The class: it has nothing to bind."""
    return Fourier


def params(run: Run, tokens: int) -> int:
    """A transform has none."""
    return 0


def macs(run: Run, tokens: int) -> int:
    """Half of 5·N·D·log2(N·D), the operations of a fast transform of complex numbers: no product of matrices."""
    return round(2.5 * tokens * run.dim * math.log2(tokens * run.dim))


def activations(run: Run, tokens: int) -> int:
    """One output a token and channel: N·D."""
    return tokens * run.dim
