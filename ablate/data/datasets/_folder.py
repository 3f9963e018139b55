"""One folder per class, as in ImageNet: `train/CLASS/*.jpg` and `val/CLASS/*.jpg` (or `validation`, or `test`).

The second folder is the test part. File names are stored in one array of bytes: with a million strings, reference
counting would copy them into every loader process.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets._layout import HIDDEN, TEST_NAMES, Catalogue, Facts
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")

Listing = dict[str, list[os.DirEntry[str]]]


@dataclass(frozen=True)
class FolderReader:
    """Files by index; `names` are paths relative to `location`, (n,), as bytes."""

    location: Path
    names: np.ndarray

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        return Image.open(io.BytesIO((self.location / self.name(index)).read_bytes()))

    def name(self, index: int) -> str:
        """Return the path relative to the directory."""
        return os.fsdecode(bytes(self.names[index]))

    def random_access(self) -> FolderReader:
        """Return this reader."""
        return self


def fits(location: Path) -> bool:
    """Return whether there is a training folder."""
    return (location / "train").is_dir()


def stamp(location: Path) -> str:
    """Return name and time of every class folder; an image that is overwritten in place is not detected."""
    found: list[object] = [location.stat().st_mtime_ns]
    for part in _parts(location):
        found.append(part.stat().st_mtime_ns)
        found += [(entry.name, entry.stat().st_mtime_ns) for entry in _entries(part) if entry.is_dir()]
    return str(found)


def facts(location: Path) -> Facts:
    """Read the facts; the fingerprint covers part, class, name and size of every file, not its content."""
    parts = _parts(location)
    train, test = (_listing(part) for part in parts)
    if odd := sorted(set(train) ^ set(test)):
        raise SpecError(f"train and test of {location} must have the same classes; only one has {', '.join(odd[:5])}")
    digest = hashlib.sha256()
    for part, listing in zip(parts, (train, test), strict=True):
        for name, entries in listing.items():
            for entry in entries:
                line = f"{part.name}/{name}/{entry.name} {entry.stat().st_size}\n"
                digest.update(line.encode("utf-8", "surrogateescape"))
    numbers = [tuple(len(entries) for entries in listing.values()) for listing in (train, test)]
    return Facts(classes=tuple(train), train=numbers[0], test=numbers[1], fingerprint=digest.hexdigest()[:16])


def load(location: Path) -> Catalogue:
    """Return the files of both parts, with classes in alphabetical order."""
    import numpy as np

    parts = _parts(location)
    listings = [_listing(part) for part in parts]
    names = [
        os.fsencode(f"{part.name}/{name}/{entry.name}")
        for part, listing in zip(parts, listings, strict=True)
        for name, entries in listing.items()
        for entry in entries
    ]
    labels = [np.repeat(np.arange(len(part)), [len(entries) for entries in part.values()]) for part in listings]
    return Catalogue(
        reader=FolderReader(location, np.array(names)),
        labels=np.concatenate(labels).astype(np.int64),
        n_train=len(labels[0]),
        classes=tuple(listings[0]),
    )


def _parts(location: Path) -> tuple[Path, Path]:
    """Return the training and the test folder."""
    train = location / "train"
    tests = [location / name for name in TEST_NAMES if (location / name).is_dir()]
    if not train.is_dir() or not tests:
        missing = "val" if train.is_dir() else "train"
        raise SpecError(f"{location} has no {missing} folder; it must contain train/ and val/, or Parquet files")
    return train, tests[0]


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return the entries of a folder in alphabetical order, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(HIDDEN)), key=lambda entry: entry.name)


def _listing(folder: Path) -> Listing:
    """Return the images of each class in alphabetical order."""
    entries = _entries(folder)
    found = {entry.name: list(filter(_is_image, _entries(entry.path))) for entry in entries if entry.is_dir()}
    empty = [name for name, images in found.items() if not images]
    if not found and any(map(_is_image, entries)):
        raise SpecError(
            f"{folder} contains images but no class folders; move each image into the folder of its class, "
            f"{folder.name}/CLASS/, for ImageNet its wnid such as n01440764"
        )
    if not found or empty:
        what = f"class {empty[0]} in {folder}" if empty else f"the image folder {folder}"
        raise SpecError(f"{what} is empty; it must contain images CLASS/NAME with a suffix of {', '.join(SUFFIXES)}")
    return found


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(SUFFIXES)
