"""A feed-forward layer over the patch axis (Melas-Kyriazi, arXiv 2105.02723, section 2 and figure 2).

Linear(N, H), GELU, Linear(H, N) on the transposed tokens, the same weights for every channel. H is `token_hidden`, or
where that is 0 `token_ratio` times N: with the first the cost is linear in N, with the second quadratic.
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
    """The class with its number of tokens and hidden width bound, as timm's `attn_layer` passes neither."""
    return type("PatchFF", (PatchFF,), {"tokens": tokens, "hidden": _hidden(run, tokens)})


def params(run: Run, tokens: int) -> int:
    """Two linear layers with biases: 2·N·H + H + N."""
    hidden = _hidden(run, tokens)
    return 2 * tokens * hidden + hidden + tokens


def macs(run: Run, tokens: int) -> int:
    """Two linear layers over N tokens, once a channel: 2·D·N·H."""
    return 2 * run.dim * tokens * _hidden(run, tokens)


def activations(run: Run, tokens: int) -> int:
    """Hidden layer and output, once a channel: D·(H + N)."""
    return run.dim * (_hidden(run, tokens) + tokens)
