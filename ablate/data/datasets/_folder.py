"""One folder per class, as in ImageNet: `train/CLASS/*.jpg` and `val/CLASS/*.jpg` (or `validation`, or `test`).

The second folder is the test part. File names are stored in one array of bytes: with a million strings, reference
counting would copy them into every loader process.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets._class_names import check_names, shown_names
from ablate.data.datasets._folder_files import count_files, entries, list_part, refuse_dangling
from ablate.data.datasets._layout import TEST_NAMES, Catalogue, Facts
from ablate.spec.errors import SpecError
from ablate.spec.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


@dataclass(frozen=True)
class FolderReader:
    """Files by index; `names` are paths relative to `location`, (n,), as bytes."""

    location: Path
    names: np.ndarray

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        return Image.open(io.BytesIO(self.encoded(index)))

    def encoded(self, index: int) -> bytes:
        """Return the content of a file."""
        return (self.location / os.fsdecode(bytes(self.names[index]))).read_bytes()

    def name(self, index: int) -> str:
        """Return the path relative to the directory, with bytes that are not UTF-8, and controls, as escapes."""
        return printable(bytes(self.names[index]).decode(errors="backslashreplace"))

    def random_access(self) -> FolderReader:
        """Return this reader."""
        return self


def fits(location: Path) -> bool:
    """Return whether there are a training and a test folder."""
    return (location / "train").is_dir() and any((location / name).is_dir() for name in TEST_NAMES)


def stamp(location: Path) -> str:
    """Return name and time of every class folder; an image that is overwritten in place is not detected."""
    found: list[object] = [location.stat().st_mtime_ns]
    for part in _parts(location):
        found.append(part.stat().st_mtime_ns)
        found += [(entry.name, entry.stat().st_mtime_ns) for entry in entries(part) if entry.is_dir()]
    return str(found)


def facts(location: Path) -> Facts:
    """Read the facts; the fingerprint covers part, class, name and size of every file, not its content."""
    train, test = (list_part(part) for part in _parts(location))
    if odd := sorted(set(train.images) ^ set(test.images)):
        raise SpecError(f"train and test of {location} must have the same classes; only one has {shown_names(odd)}")
    check_names(tuple(train.images), f"{train.part}")
    digest = hashlib.sha256()
    for listing in (train, test):
        for entry in chain.from_iterable(listing.images.values()):
            line = f"{listing.name(entry)} {entry.stat().st_size}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    numbers = [tuple(map(len, listing.images.values())) for listing in (train, test)]
    return Facts(
        classes=tuple(train.images),
        train=numbers[0],
        test=numbers[1],
        fingerprint=digest.hexdigest()[:16],
        left_out=dict(train.left_out + test.left_out + _other_tests(location, test.part)),
        deeper={path: os.stat(path).st_mtime_ns for path in (*train.deeper, *test.deeper)},
    )


def load(location: Path) -> Catalogue:
    """Return the files of both parts, with classes in alphabetical order."""
    import numpy as np

    listings = [list_part(part) for part in _parts(location)]
    names = [
        os.fsencode(listing.name(entry))
        for listing in listings
        for entry in chain.from_iterable(listing.images.values())
    ]
    labels = [np.repeat(np.arange(len(one.images)), list(map(len, one.images.values()))) for one in listings]
    return Catalogue(
        reader=FolderReader(location, np.array(names)),
        labels=np.concatenate(labels).astype(np.int64),
        n_train=len(labels[0]),
        classes=tuple(listings[0].images),
    )


def _other_tests(location: Path, used: Path) -> Counter[str]:
    """Return the number of files in test folders that are not used, by folder."""
    others = [location / name for name in TEST_NAMES if name != used.name and (location / name).is_dir()]
    return Counter({f"in {path.name}/, the test part is {used.name}/": count_files(path) for path in others})


def _parts(location: Path) -> tuple[Path, Path]:
    """Return the training and the test folder."""
    train = location / "train"
    for path in (train, *(location / name for name in TEST_NAMES)):
        refuse_dangling(path)
    tests = [location / name for name in TEST_NAMES if (location / name).is_dir()]
    if not train.is_dir() or not tests:
        missing = "val" if train.is_dir() else "train"
        raise SpecError(f"{location} has no {missing} folder; it must contain train/ and val/, or Parquet files")
    return train, tests[0]
