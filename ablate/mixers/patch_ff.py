"""A feed-forward layer over the patch axis (Melas-Kyriazi, arXiv 2105.02723, section 2 and figure 2).

Linear(N, r·N), GELU, Linear(r·N, N) on the transposed tokens, the same weights for every channel.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import Mlp
from torch import nn

from ablate.spec import Run

BEHAVIOUR = 1


class PatchFF(Mlp):
    """timm's `Mlp` applied over the tokens; maps (B, N, D) to (B, N, D)."""

    tokens: int
    hidden: int

    def __init__(self, dim: int, proj_drop: float = 0.0, device: Any = None, dtype: Any = None, **_: Any) -> None:
        super().__init__(self.tokens, self.hidden, drop=proj_drop, device=device, dtype=dtype)

    def forward(self, x: torch.Tensor, attn_mask: None = None, is_causal: bool = False) -> torch.Tensor:
        mixed: torch.Tensor = super().forward(x.transpose(1, 2))  # type: ignore[no-untyped-call]
        return mixed.transpose(1, 2)


def _hidden(run: Run, tokens: int) -> int:
    return round(run.token_ratio * tokens)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """The class with its number of tokens and hidden width bound, as timm's `attn_layer` passes neither."""
    return type("PatchFF", (PatchFF,), {"tokens": tokens, "hidden": _hidden(run, tokens)})


def macs(run: Run, tokens: int) -> int:
    """Two linear layers over N tokens, once a channel: 2·D·N·(r·N), quadratic in N at a fixed ratio r."""
    return 2 * run.dim * tokens * _hidden(run, tokens)
