"""Multi-head self-attention, timm's own layer unchanged (Dosovitskiy et al., arXiv 2010.11929, section 3.1)."""

from __future__ import annotations

from timm.layers import Attention
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def layer(run: Run, tokens: int) -> type[nn.Module]:
    """timm's attention: a class, because timm's `VisionTransformer` asks for one."""
    return Attention


def params(run: Run, tokens: int) -> int:
    """Queries, keys, values and output projection, with biases: 4·D² + 4·D."""
    return 4 * run.dim**2 + 4 * run.dim


def macs(run: Run, tokens: int) -> int:
    """Queries, keys, values and output projection (4·N·D²), scores and weighted sum (2·N²·D)."""
    return 4 * tokens * run.dim**2 + 2 * tokens**2 * run.dim


def activations(run: Run, tokens: int) -> int:
    """Queries, keys, values, weighted sum and projection (5·N·D), and a score for each pair of tokens and head."""
    return 5 * tokens * run.dim + run.heads * tokens**2
