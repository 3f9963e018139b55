"""Digits at random offsets on a larger canvas: new offsets in every training epoch, fixed ones for testing.

The position of a stroke no longer identifies it, so comparing patches helps.
"""

from __future__ import annotations

from pathlib import Path

from ablate.data.datasets import Arrays, digits
from ablate.spec.run import Run

BEHAVIOUR = 1  # raise it too when results of digits.py change
CHANNELS = 1
CLASSES = 10
LOADER = "resident"

fingerprint = digits.fingerprint


def check(run: Run, location: Path | None = None) -> None:
    """Refuse a canvas without space for an offset."""
    digits.check(run, smallest=digits.SIDE + 1)


def load(run: Run, location: Path | None = None) -> Arrays:
    """Return the images and parts of `digits`, to be placed at offsets."""
    return digits.load(run, shifted=True)
