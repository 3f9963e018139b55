"""A frozen random N×N matrix, each row normalised by softmax (RandFormer, arXiv 2210.13452, section 2.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1
FROZEN = True


class RandomMixing(nn.Module):
    """Averages tokens with random weights that are never trained; maps (B, N, D) to (B, N, D)."""

    tokens: int

    def __init__(self, dim: int, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__()
        weight = torch.empty(self.tokens, self.tokens, device=device, dtype=dtype)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the matrix: uniform numbers, then a softmax over each row."""
        with torch.no_grad():
            self.weight.copy_(torch.rand_like(self.weight).softmax(dim=-1))

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        return self.weight @ x


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its number of tokens."""
    return type("RandomMixing", (RandomMixing,), {"tokens": tokens})


def params(run: Run, tokens: int) -> int:
    """Return N²: the matrix, which is not trained."""
    return tokens**2


def macs(run: Run, tokens: int) -> int:
    """Return D·N²: one N×N product per channel."""
    return run.dim * tokens**2


def activations(run: Run, tokens: int) -> int:
    """Return N·D: one output per token and channel."""
    return tokens * run.dim
