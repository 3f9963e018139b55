"""One linear layer over the tokens, N to N, without hidden layer or activation (ResMLP, arXiv 2105.03404, eq. 2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


class PatchLinear(nn.Module):
    """A linear map over the tokens, the same for every channel; maps (B, N, D) to (B, N, D)."""

    tokens: int

    def __init__(self, dim: int, proj_drop: float = 0.0, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__()
        self.proj = nn.Linear(self.tokens, self.tokens, device=device, dtype=dtype)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        mixed: torch.Tensor = self.proj_drop(self.proj(x.transpose(1, 2)))
        return mixed.transpose(1, 2)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its number of tokens."""
    return type("PatchLinear", (PatchLinear,), {"tokens": tokens})


def params(run: Run, tokens: int) -> int:
    """Return N² + N: one linear layer with its bias."""
    return tokens**2 + tokens


def macs(run: Run, tokens: int) -> int:
    """Return D·N²: one N×N product per channel."""
    return run.dim * tokens**2


def activations(run: Run, tokens: int) -> int:
    """Return N·D: one output per token and channel."""
    return tokens * run.dim
