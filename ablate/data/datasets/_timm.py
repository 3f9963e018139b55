"""Datasets that timm opens by index, such as torchvision's local copies. Loading them downloads nothing.

For another timm scheme with an image for every index, add one more `Timm`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.data.datasets._layout import Catalogue, Facts
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class TimmReader:
    """The images of several timm datasets, one dataset after the other."""

    parts: tuple[Any, ...]

    def __getitem__(self, index: int) -> Image.Image:
        part, position = self._at(index)
        image: Image.Image = self.parts[part][position][0]
        return image

    def _at(self, index: int) -> tuple[int, int]:
        for part, images in enumerate(self.parts):
            if index < len(images):
                return part, index
            index -= len(images)
        raise IndexError(index)

    def name(self, index: int) -> str:
        """Return part and position."""
        part, position = self._at(index)
        return f"image {position} of the {('training', 'test')[part]} part"

    def random_access(self) -> TimmReader:
        """Return this reader."""
        return self


@dataclass(frozen=True)
class Timm:
    """A dataset on disk in the format of a timm scheme.

    Args:
        scheme: name in timm, such as "torch/cifar10".
        folder: subfolder that the scheme creates under its root.
    """

    scheme: str
    folder: str

    def fits(self, location: Path) -> bool:
        """Return whether the subfolder exists."""
        return (location / self.folder).is_dir()

    def stamp(self, location: Path) -> str:
        """Return name, size and time of every file."""
        found = self._files(location)
        return str([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found])

    def facts(self, location: Path) -> Facts:
        """Read the facts; the fingerprint covers the content of all files, and timm checks that they are complete.

        Raises:
            SpecError: when files are missing or damaged.
        """
        import numpy as np

        found = self.load(location)
        train, test = (
            tuple(map(int, np.bincount(labels, minlength=len(found.classes))))
            for labels in np.split(found.labels, [found.n_train])
        )
        digest = hashlib.sha256()
        for path in self._files(location):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
        return Facts(classes=found.classes, train=train, test=test, fingerprint=digest.hexdigest()[:16])

    def load(self, location: Path) -> Catalogue:
        """Return the images of both parts.

        Raises:
            SpecError: when files are missing or damaged.
        """
        import numpy as np
        from timm.data import create_dataset

        try:
            parts = [create_dataset(self.scheme, root=str(location), split=split) for split in ("train", "validation")]
        except (OSError, RuntimeError) as error:
            raise SpecError(f"{location} contains no complete {self.scheme}: {error}") from None
        labels = [np.array(part.targets, np.int64) for part in parts]
        return Catalogue(
            reader=TimmReader(tuple(parts)),
            labels=np.concatenate(labels),
            n_train=len(labels[0]),
            classes=tuple(parts[0].classes),
        )

    def download(self, location: Path) -> None:
        """Download the dataset into a directory with torchvision.

        Raises:
            SpecError: when the network or the disk fails.
        """
        from timm.data import create_dataset

        try:
            create_dataset(self.scheme, root=str(location), split="train", download=True)
        except (OSError, RuntimeError) as error:
            raise SpecError(f"cannot download {self.scheme} into {location}: {error}") from None

    def _files(self, location: Path) -> list[Path]:
        return sorted(path for path in (location / self.folder).iterdir() if path.is_file())
