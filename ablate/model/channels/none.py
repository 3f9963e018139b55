"""No channel mixer: the block has only its token mixer, without norm2 and channel mixer."""

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
