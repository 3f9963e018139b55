"""Attention over the features instead of the feed-forward layer (Melas-Kyriazi, arXiv 2105.02723, section 3.4).

timm's attention on the transposed tokens: the D channels are the sequence, the N tokens the width. `channel_heads`
divides N; 197 tokens are a prime number, so the paper's model has one head.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import Attention
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


class FeatureAttention(Attention):
    """Attention among channels; maps (B, N, D) to (B, N, D)."""

    tokens: int
    channel_heads: int

    def __init__(self, in_features: int, drop: float = 0.0, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__(
            self.tokens, num_heads=self.channel_heads, qkv_bias=True, proj_drop=drop, device=device, dtype=dtype
        )

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        mixed: torch.Tensor = super().forward(x.transpose(1, 2))
        return mixed.transpose(1, 2)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """The class with its width and heads bound."""
    return type("FeatureAttention", (FeatureAttention,), {"tokens": tokens, "channel_heads": run.channel_heads})


def params(run: Run, tokens: int) -> int:
    """Attention with the roles of tokens and channels exchanged: 4·N² + 4·N."""
    return 4 * tokens**2 + 4 * tokens


def macs(run: Run, tokens: int) -> int:
    """Attention with the roles of tokens and channels exchanged: 4·D·N² + 2·D²·N."""
    return 4 * run.dim * tokens**2 + 2 * run.dim**2 * tokens


def activations(run: Run, tokens: int) -> int:
    """As in attention over tokens, with the roles exchanged."""
    return 5 * tokens * run.dim + run.channel_heads * run.dim**2
