"""Parquet files as on the Hugging Face hub: `data/train-*.parquet` and `data/validation-*.parquet` (or `test-`).

A row has `image` or `img` (a struct of `bytes` and `path`, or only the bytes), and `label` or `fine_label`. Class names
come from the metadata of the files, else from `classes.txt`, else they are numbers.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets._layout import HIDDEN, TEST_NAMES, Catalogue, Facts
from ablate.data.datasets._parquet_columns import image_column, read_labels
from ablate.data.datasets._parquet_reader import ParquetReader
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class _Content:
    """Everything but the images: files and labels of the training and the test part."""

    files: tuple[list[Path], list[Path]]
    column: str
    classes: tuple[str, ...]
    labels: list[np.ndarray]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part, files, labels in zip(("train", "test"), self.files, self.labels, strict=True):
            for path in files:
                digest.update(f"{part} {path.stat().st_size}\n".encode())
                digest.update(_footer(path))
            digest.update(labels.tobytes())
        return digest.hexdigest()[:16]


def fits(location: Path) -> bool:
    """Return whether there are Parquet files."""
    return bool(_files(location))


def stamp(location: Path) -> str:
    """Return name, size and time of every file, including the one with class names."""
    found = [*_files(location), *location.glob("classes.txt")]
    return str([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found])


def facts(location: Path) -> Facts:
    """Read the facts; the fingerprint covers size and footer of every file (with its row groups), and all labels.

    The images are not read: replacing one by another of exactly the same size is not detected.
    """
    import numpy as np

    found = _read(location)
    train, test = (tuple(map(int, np.bincount(labels))) for labels in found.labels)
    return Facts(classes=found.classes, train=train, test=test, fingerprint=found.fingerprint)


def load(location: Path) -> Catalogue:
    """Return the rows in the order of file names."""
    import numpy as np

    found = _read(location)
    files = (*found.files[0], *found.files[1])
    return Catalogue(
        reader=ParquetReader(files, found.column, found.fingerprint),
        labels=np.concatenate(found.labels),
        n_train=len(found.labels[0]),
        classes=found.classes,
    )


def _read(location: Path) -> _Content:
    """Read and check the files of both parts, except their images."""
    train, test = _parts(location)
    column = image_column((*train, *test))
    classes, labels = read_labels(location, train, test)
    return _Content((train, test), column, classes, labels)


def _files(location: Path) -> list[Path]:
    """Return the Parquet files in `data/`, else in the directory itself, sorted by name, without hidden ones."""
    for folder in (location / "data", location):
        if found := sorted(path for path in folder.glob("*.parquet") if not path.name.startswith(HIDDEN)):
            return found
    return []


def _parts(location: Path) -> tuple[list[Path], list[Path]]:
    """Return the training and the test files, by the beginning of their names."""
    named: dict[str, list[Path]] = {}
    for path in _files(location):
        named.setdefault(re.split(r"[-_.]", path.name)[0], []).append(path)
    tests = [named[name] for name in TEST_NAMES if name in named]
    if "train" not in named or not tests:
        known = ", ".join(sorted(named))
        raise SpecError(
            f"Parquet files in {location} must be called train-*.parquet and validation-*.parquet, got {known}"
        )
    return named["train"], tests[0]


def _footer(path: Path) -> bytes:
    """Return the footer of a Parquet file; its length is in the four bytes before the last four."""
    with open(path, "rb") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        return file.read(length)
