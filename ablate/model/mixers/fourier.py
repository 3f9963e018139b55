"""The real part of the discrete Fourier transform over tokens and channels (FNet, arXiv 2105.03824, section 3.2).

Computed in fp32, since half precision does not support every length. Unlike in FNet, the transform is scaled by
1/√(N·D): FNet normalises after the sum, where a scale cancels; a pre-norm block adds the output unnormalised.
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
        mixed: torch.Tensor = torch.fft.fft2(precise, norm="ortho").real  # autocast does not change transforms
        return mixed.to(x.dtype)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class."""
    return Fourier


def params(run: Run, tokens: int) -> int:
    """Return 0: a transform has no parameters."""
    return 0


def macs(run: Run, tokens: int) -> int:
    """Return 2.5·N·D·log2(N·D), half the operations of a complex fast Fourier transform."""
    return round(2.5 * tokens * run.dim * math.log2(tokens * run.dim))


def uncounted_macs(run: Run, tokens: int) -> int:
    """Return all of them: torch's counter does not count the Fourier transform."""
    return macs(run, tokens)


def activations(run: Run, tokens: int) -> int:
    """Return N·D: one output per token and channel."""
    return tokens * run.dim
