"""Multi-head self-attention, timm's own layer unchanged (Dosovitskiy et al., arXiv 2010.11929, section 3.1)."""

from __future__ import annotations

from timm.layers import Attention
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """Return the class of timm's attention."""
    return Attention


def params(run: Run, tokens: int) -> int:
    """Return 4·D² + 4·D: queries, keys, values and output projection, with biases."""
    return 4 * run.dim**2 + 4 * run.dim


def macs(run: Run, tokens: int) -> int:
    """Return 4·N·D² for queries, keys, values and output projection, plus 2·N²·D for scores and weighted sum."""
    return 4 * tokens * run.dim**2 + 2 * tokens**2 * run.dim


def activations(run: Run, tokens: int) -> int:
    """Return 5·N·D for queries, keys, values, weighted sum and projection, plus N² scores per head."""
    return 5 * tokens * run.dim + run.heads * tokens**2
