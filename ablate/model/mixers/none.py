"""No token mixing: the block keeps its feature branch alone; norm1 and the mixing branch are gone.

A norm left behind would get no gradient, and an identity in the branch would add norm(x) to the stream, so the
branch is removed whole.
"""

from __future__ import annotations

from ablate.spec.run import Run

BEHAVIOUR = 1
BRANCH = False  # the block has neither the branch nor its norm


def layer(run: Run, tokens: int) -> None:
    """None: nothing stands in the slot."""


def params(run: Run, tokens: int) -> int:
    """There is nothing."""
    return 0


def macs(run: Run, tokens: int) -> int:
    """Nothing is computed."""
    return 0


def activations(run: Run, tokens: int) -> int:
    """Nothing is computed."""
    return 0
