"""Any directory of images: `train/CLASS/*.jpg` and `val/CLASS/*.jpg` (or `validation`, or `test`).

The second folder is the test part; `holdout` is taken from the first.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.datasets import Files, Part, check_batch, hold_out
from ablate.registry import SpecError
from ablate.spec import Run

if TYPE_CHECKING:
    import numpy as np

BEHAVIOUR = 1
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})
TEST_NAMES = ("val", "validation", "test")

Listing = dict[str, list[Path]]


def fingerprint(location: Path | None) -> str:
    """Hash of every picture's part, class, name and size in bytes."""
    digest = hashlib.sha256()
    for folder in _parts(location):
        for name, paths in _listing(folder).items():
            for path in paths:
                digest.update(f"{folder.name}/{name}/{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def check(run: Run, location: Path | None) -> None:
    """Both parts must be there, hold pictures, and have the same classes."""
    train, test = (_listing(folder) for folder in _parts(location))
    if odd := sorted(set(train) ^ set(test)):
        raise SpecError(f"train and test of {location} differ in their classes: only one has {', '.join(odd[:5])}")
    check_batch(run, sum(map(len, train.values())))
    hold_out(_labels(train), run.holdout)


def load(run: Run, location: Path | None) -> Files:
    """The files of both parts, classes in alphabetical order."""
    import numpy as np

    train, test = (_listing(folder) for folder in _parts(location))
    labels = np.concatenate([_labels(train), _labels(test)])
    n_train = sum(map(len, train.values()))
    kept, held = hold_out(labels[:n_train], run.holdout)
    parts: dict[Part, np.ndarray] = {"train": kept, "heldout": held, "test": np.arange(n_train, len(labels))}
    paths = tuple(path for part in (train, test) for of_class in part.values() for path in of_class)
    return Files(paths=paths, labels=labels, parts=parts, classes=tuple(train))


def _labels(listing: Listing) -> np.ndarray:
    """The label of every picture of a part, in the listing's order."""
    import numpy as np

    return np.repeat(np.arange(len(listing), dtype=np.int64), [len(paths) for paths in listing.values()])


def _parts(location: Path | None) -> tuple[Path, Path]:
    """The folders to train on and to test on."""
    if location is None or not location.is_dir():
        raise SpecError(f"there is no image folder {location}; wanted is a directory with train/ and val/ in it")
    train = location / "train"
    tests = [location / name for name in TEST_NAMES if (location / name).is_dir()]
    if not train.is_dir() or not tests:
        raise SpecError(f"{location} has no {'val' if train.is_dir() else 'train'} folder; wanted are train/ and val/")
    return train, tests[0]


def _listing(folder: Path) -> Listing:
    """The pictures of each class, in alphabetical order."""
    found: Listing = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            found[entry.name] = sorted(path for path in Path(entry.path).iterdir() if path.suffix.lower() in SUFFIXES)
    empty = [name for name, paths in found.items() if not paths]
    if not found or empty:
        what = f"class {empty[0]} in {folder}" if empty else f"the image folder {folder}"
        raise SpecError(
            f"{what} is empty; wanted are pictures as CLASS/NAME with an ending of {', '.join(sorted(SUFFIXES))}"
        )
    return found
