"""A feed-forward layer over the tokens (Melas-Kyriazi, arXiv 2105.02723, section 2 and figure 2).

Linear(N, H), GELU, Linear(H, N) on the transposed tokens, with the same weights for every channel. H is `token_hidden`,
or `token_ratio` times N if that is 0: the cost is linear in N with the first, and quadratic with the second.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import Mlp
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1
KNOB = "token_hidden"


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
    return run.token_hidden or round(run.token_ratio * tokens)


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class with its number of tokens and hidden width, which timm does not pass to `attn_layer`."""
    return type("PatchFF", (PatchFF,), {"tokens": tokens, "hidden": _hidden(run, tokens)})


def params(run: Run, tokens: int) -> int:
    """Return 2·N·H + H + N: two linear layers with biases."""
    hidden = _hidden(run, tokens)
    return 2 * tokens * hidden + hidden + tokens


def macs(run: Run, tokens: int) -> int:
    """Return 2·D·N·H: two linear layers over N tokens per channel."""
    return 2 * run.dim * tokens * _hidden(run, tokens)


def activations(run: Run, tokens: int) -> int:
    """Return D·(H + N): hidden layer and output per channel."""
    return run.dim * (_hidden(run, tokens) + tokens)
