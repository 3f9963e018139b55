"""No token mixing: the block has only its channel mixer, without norm1 and token mixer.

A remaining norm would get no gradient, and an identity as mixer would add norm(x) to the residual stream, so both are
removed.
"""

from __future__ import annotations

from ablate.spec.run import Run

BEHAVIOUR = 1
BRANCH = False  # the block has neither this mixer nor its norm


def layer(run: Run, tokens: int) -> None:
    """Return None: the block has no such mixer."""


def params(run: Run, tokens: int) -> int:
    """Return 0."""
    return 0


def macs(run: Run, tokens: int) -> int:
    """Return 0."""
    return 0


def activations(run: Run, tokens: int) -> int:
    """Return 0."""
    return 0
