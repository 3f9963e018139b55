"""What every layout of a directory of images tells: facts, quickly, and the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ablate.data.datasets import Reader

if TYPE_CHECKING:
    import numpy as np

TEST_NAMES = ("val", "validation", "test")  # the first one that is there is the test part


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a directory holds, without its images.

    Args:
        classes: names of the labels.
        train, test: number of images of each class.
        fingerprint: sixteen hex digits over what the data is.
    """

    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All images of a directory, those to train on first.

    Args:
        reader: the images by index.
        labels: int64, (n,).
        n_train: how many of them are to train on.
        classes: names of the labels.
    """

    reader: Reader
    labels: np.ndarray
    n_train: int
    classes: tuple[str, ...]


class Layout(Protocol):
    """One way to lay out a directory of images."""

    def fits(self, location: Path) -> bool:
        """Whether the directory looks as if it were laid out so."""

    def stamp(self, location: Path) -> str:
        """Names and times that change when the data does, as far as can be seen quickly."""

    def facts(self, location: Path) -> Facts:
        """Read the facts.

        Raises:
            SpecError: when the directory will not do.
        """

    def load(self, location: Path) -> Catalogue:
        """List the images, in the order of the facts."""
