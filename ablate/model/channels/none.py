"""No feature branch: norm2 and the layer are gone, the block mixes tokens only."""

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
