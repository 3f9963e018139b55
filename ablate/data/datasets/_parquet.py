"""Parquet files as on the Hugging Face hub: `data/train-*.parquet` and `data/validation-*.parquet` (or `test-`).

A row has `image` or `img` (a struct of `bytes` and `path`, or only the bytes), and `label` or `fine_label`. Class names
come from the metadata of the files, else from `classes.txt`, else they are numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets._layout import Catalogue, Facts
from ablate.data.datasets._parquet_columns import check_bytes, image_column, read_labels
from ablate.data.datasets._parquet_files import footer, left_out, parquet_files, split
from ablate.data.datasets._parquet_reader import ParquetReader

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
                digest.update(footer(path))
            digest.update(labels.tobytes())
        return digest.hexdigest()[:16]


def fits(location: Path) -> bool:
    """Return whether there are Parquet files."""
    return bool(parquet_files(location))


def stamp(location: Path) -> str:
    """Return name, size and time of every file, including the one with class names."""
    found = [*parquet_files(location), *location.glob("classes.txt")]
    return str([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found])


def facts(location: Path) -> Facts:
    """Read the facts; the fingerprint covers size and footer of every file (with its row groups), and all labels.

    The images are not read: replacing one by another of exactly the same size is not detected.
    """
    import numpy as np

    found = _read(location)
    check_bytes((*found.files[0], *found.files[1]), found.column)
    train, test = (tuple(map(int, np.bincount(labels))) for labels in found.labels)
    return Facts(
        classes=found.classes,
        train=train,
        test=test,
        fingerprint=found.fingerprint,
        left_out=left_out(location, found.files),
    )


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
    train, test = split(location)
    column = image_column((*train, *test))
    classes, labels = read_labels(location, train, test)
    return _Content((train, test), column, classes, labels)
