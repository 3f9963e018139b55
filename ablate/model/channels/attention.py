"""Attention over the channels instead of a feed-forward layer (Melas-Kyriazi, arXiv 2105.02723, section 3.4).

timm's attention on the transposed tokens: the sequence is the D channels, the width is the N tokens. `channel_heads`
must divide N. The model of the paper has one head, since its 197 tokens are a prime number.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import Attention
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


class ChannelAttention(Attention):
    """Attention over channels; maps (B, N, D) to (B, N, D)."""

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
    """Return the class with its width and number of heads."""
    return type("ChannelAttention", (ChannelAttention,), {"tokens": tokens, "channel_heads": run.channel_heads})


def params(run: Run, tokens: int) -> int:
    """Return 4·N² + 4·N, as for attention over tokens with N and D exchanged."""
    return 4 * tokens**2 + 4 * tokens


def macs(run: Run, tokens: int) -> int:
    """Return 4·D·N² + 2·D²·N, as for attention over tokens with N and D exchanged."""
    return 4 * run.dim * tokens**2 + 2 * run.dim**2 * tokens


def activations(run: Run, tokens: int) -> int:
    """Return 5·N·D + D² per head, as for attention over tokens with N and D exchanged."""
    return 5 * tokens * run.dim + run.channel_heads * run.dim**2
