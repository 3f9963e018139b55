"""The interface of a layout of image directories: facts, which are read quickly, and the images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ablate.data.datasets import Reader
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

HIDDEN = "."  # files and folders whose names begin with a dot are not data: `.ipynb_checkpoints`, `._cat.png`
TEST_NAMES = ("val", "validation", "test")  # the first existing one is the test part


def refuse_bytes(path: Path, what: str) -> None:
    """Refuse the name of a file or folder that is not UTF-8, which neither JSON nor pyarrow accepts."""
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError:
        raise SpecError(f"{what} {name.decode(errors='backslashreplace')} must be UTF-8; rename it") from None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about a directory, without its images.

    Args:
        classes: names of the labels.
        train, test: number of images of each class.
        fingerprint: sixteen hex digits that identify the data.
        left_out: number of files that are not part of the data, by reason.
        deeper: folders that the stamp of the layout does not cover, and their times in nanoseconds.
    """

    classes: tuple[str, ...]
    train: tuple[int, ...]
    test: tuple[int, ...]
    fingerprint: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    deeper: Mapping[str, int] = field(default_factory=dict)

    @property
    def current(self) -> bool:
        """Return whether the folders in `deeper` have not changed since."""
        return all(Path(path).is_dir() and Path(path).stat().st_mtime_ns == time for path, time in self.deeper.items())

    @property
    def omissions(self) -> str:
        """Return what was left out and why, such as "; 3 files left out (not images)"; empty if nothing was."""
        return "".join(
            f"; {number:,} file{'s'[: number > 1]} left out ({reason})" for reason, number in self.left_out.items()
        )


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All images of a directory, training images first.

    Args:
        reader: images by index.
        labels: int64, (n,).
        n_train: number of training images.
        classes: names of the labels.
    """

    reader: Reader
    labels: np.ndarray
    n_train: int
    classes: tuple[str, ...]


class Layout(Protocol):
    """A layout of a directory of images."""

    def fits(self, location: Path) -> bool:
        """Return whether a directory has this layout."""

    def stamp(self, location: Path) -> str:
        """Return names and times that change with the data, as far as can be checked quickly."""

    def facts(self, location: Path) -> Facts:
        """Read the facts.

        Raises:
            SpecError: when the directory is invalid.
        """

    def load(self, location: Path) -> Catalogue:
        """Return the images, in the order of the facts."""
