"""The digits at a random offset on a larger canvas: a new offset every epoch in training, fixed ones in the test.

Where a stroke is no longer says what it is, so comparing patches pays.
"""

from __future__ import annotations

from pathlib import Path

from ablate.data.datasets import Arrays, digits
from ablate.spec.run import Run

BEHAVIOUR = 1  # raise it too when what comes from digits.py is mended
CHANNELS = 1
CLASSES = 10
LOADER = "resident"

fingerprint = digits.fingerprint


def check(run: Run, location: Path | None = None) -> None:
    """The canvas must leave room for an offset."""
    digits.check(run, smallest=digits.SIDE + 1)


def load(run: Run, location: Path | None = None) -> Arrays:
    """The digits' images and parts, to be placed at offsets."""
    return digits.load(run, shifted=True)
