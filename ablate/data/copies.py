"""Test images that are byte copies of training images: on them, a model is tested on what it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ablate.data.datasets import Encoded

MOST = 2**30  # bytes that are read of each part


@runtime_checkable
class HasFiles(Protocol):
    """A reader of image files."""

    def encoded(self, index: int) -> bytes:
        """Return the content of a file."""


@dataclass(frozen=True, kw_only=True)
class Copies:
    """What was found.

    Args:
        copied: number of test images that are copies of training images.
        train, test: number of images that were compared.
        of_train, of_test: number of images.
    """

    copied: int
    train: int
    test: int
    of_train: int
    of_test: int

    @property
    def whole(self) -> bool:
        """Return whether the test part contains nothing but copies."""
        return self.copied == self.test == self.of_test > 0

    def __str__(self) -> str:
        """Return a line such as "2 of 10 test images are byte copies of training images"."""
        tested, trained = _part(self.test, self.of_test), _part(self.train, self.of_train)
        of_which = "" if self.train == self.of_train else f" ({trained} compared)"
        return f"{self.copied:,} of {tested} test images are byte copies of training images{of_which}"


def _part(compared: int, total: int) -> str:
    return f"{total:,}" if compared == total else f"the first {compared:,} of {total:,}"


def find_copies(data: Encoded) -> Copies | None:
    """Compare the bytes of the images; of large parts, the first gibibyte. Return None if they are not in files."""
    if not isinstance(data.reader, HasFiles):
        return None
    parts = [[*data.parts["train"].tolist(), *data.parts["heldout"].tolist()], data.parts["test"].tolist()]
    train, test = (_digests(data.reader, part) for part in parts)
    known = set(train)
    return Copies(
        copied=sum(digest in known for digest in test),
        train=len(train),
        test=len(test),
        of_train=len(parts[0]),
        of_test=len(parts[1]),
    )


def _digests(reader: HasFiles, part: Sequence[int]) -> list[bytes]:
    """Return a hash of each image, up to the limit; images without bytes differ from each other."""
    found: list[bytes] = []
    size = 0
    for index in part:
        try:
            content = reader.encoded(index)
        except (OSError, ValueError):
            content = b""
        size += len(content)
        if size > MOST:
            break
        found.append(hashlib.blake2b(content or b"none %d" % index, digest_size=16).digest())
    return found
