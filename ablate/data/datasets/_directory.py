"""Any directory of images: one folder per class, or Parquet files as on the Hugging Face hub.

The content of the directory determines which. `holdout` is taken from the training part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets import Encoded, Part, _folder, _parquet, check_batch, hold_out
from ablate.data.datasets._class_names import check_number, shown_name
from ablate.data.datasets._layout import HIDDEN, Facts, Layout, refuse_bytes
from ablate.data.datasets._parquet_files import parquet_files
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store.cache import key_of, read_note, write_note

if TYPE_CHECKING:
    import numpy as np

BEHAVIOUR = 2  # raise it too when results of a layout change; 2: pixels as in timm
RULES = 3  # raise it when the facts about the same files change, so that those in the cache are not used
MANY = 10_000  # number of images from which on facts are cached
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


@dataclass(frozen=True)
class Directory:
    """A dataset in a directory.

    Args:
        layouts: possible layouts; the first that fits is used. Parquet files beside folders are refused.
        classes: required number of classes; 0 allows any number.
        usual: published number of training and test images; a different number is only reported.
        folders: pattern for names of class folders. Other names would change the order of classes, and published
            weights would predict wrong labels.
        example: name that matches the pattern.
    """

    layouts: Sequence[Layout] = (_parquet, _folder)
    classes: int = 0
    usual: tuple[int, int] | None = None
    folders: str = ""
    example: str = ""

    def facts(self, location: Path | None) -> Facts:
        """Return the facts about a directory; those of many images are cached until a folder or Parquet file changes.

        Raises:
            SpecError: when the directory is not a valid dataset.
        """
        where, layout = self._layout(location)
        key = key_of(where.absolute(), layout, layout.stamp(where), RULES)
        cached = read_note("facts", key)
        facts = _from_json(cached) if cached else None
        if facts is None or not facts.current:
            facts = layout.facts(where)
            check_number(facts.classes, where)
            if sum(facts.train) + sum(facts.test) >= MANY:
                write_note("facts", key, asdict(facts))
        if self.classes and len(facts.classes) != self.classes:
            raise SpecError(f"{where} must have {self.classes:,} classes, one folder each, got {len(facts.classes):,}")
        if self.folders and layout is _folder:
            self._check_names(where, facts.classes)
        return facts

    def _check_names(self, where: Path, classes: Sequence[str]) -> None:
        if odd := [name for name in classes if not re.fullmatch(self.folders, name)]:
            raise SpecError(
                f"class folders in {where} must have names such as {self.example}, got {len(odd):,} others such as "
                f"{shown_name(odd[0])}; rename them, or use another name for the data with --data NAME=PATH"
            )

    def fingerprint(self, location: Path | None) -> str:
        """Return the hash that identifies the data, as the `facts` of the layout define it."""
        return self.facts(location).fingerprint

    def check(self, run: Run, location: Path | None) -> None:
        """Refuse missing or insufficient data, and an augmentation that the loader cannot do."""
        import numpy as np

        if run.resident and run.auto_augment:
            raise SpecError(f"auto_augment {run.auto_augment!r} works on single images; set loader='workers'")
        train = self.facts(location).train
        check_batch(run, sum(train), len(train))
        hold_out(np.repeat(np.arange(len(train)), train), run.holdout)

    def load(self, run: Run, location: Path | None) -> Encoded:
        """Return the images of all parts."""
        import numpy as np

        where, layout = self._layout(location)
        found = layout.load(where)
        kept, held = hold_out(found.labels[: found.n_train], run.holdout)
        test: np.ndarray = np.arange(found.n_train, len(found.labels))
        parts: dict[Part, np.ndarray] = {"train": kept, "heldout": held, "test": test}
        return Encoded(
            reader=found.reader,
            labels=found.labels,
            parts=parts,
            classes=found.classes,
            fingerprint=self.fingerprint(location),
        )

    def line(self, name: str, location: Path | None) -> str:
        """Return the facts about a directory in one line."""
        facts = self.facts(location)
        numbers = sum(facts.train), sum(facts.test)
        text = (
            f"{name} at {location}: {len(facts.classes):,} classes, {numbers[0]:,} images to train on, "
            f"{numbers[1]:,} to test on, fingerprint {facts.fingerprint}{facts.omissions}"
        )
        if self.usual is None or numbers == self.usual:
            return text
        return f"{text}; the published dataset has {self.usual[0]:,} and {self.usual[1]:,}"

    def _layout(self, location: Path | None) -> tuple[Path, Layout]:
        if location is None or not location.is_dir():
            raise SpecError(f"there is no image folder {location}; pass a directory that contains train/ and val/")
        refuse_bytes(location, "the path of a dataset,")
        fitting = [layout for layout in self.layouts if layout.fits(location)]
        if fitting[:2] == [_parquet, _folder]:
            raise SpecError(
                f"{location} must contain either Parquet files or train/ and a test folder, got both; move "
                f"{parquet_files(location)[0]} to another directory, or the folders"
            )
        if not fitting and (near := self._near(location)):
            raise SpecError(f"{location} contains no dataset; {near}")
        return location, [*fitting, self.layouts[-1]][0]

    def _near(self, location: Path) -> str:
        """Return what to do when the data is one level above or below, or in an archive; empty if it is not."""
        below = sorted(path for path in location.glob("*") if not path.name.startswith(HIDDEN))
        archives = [path for path in below if path.name.endswith(ARCHIVES)]
        above = [] if archives else [location.absolute().parent]
        for path in (*filter(Path.is_dir, below), *above):
            if any((path / "train").glob("*.parquet")):
                return (
                    f"move the Parquet files in {path / 'train'} to {path}, as train-00000-of-00001.parquet, and so on"
                )
            if any(layout.fits(path) for layout in self.layouts):
                return f"pass {path} instead, which does"
        return f"unpack {archives[0].name} first, and pass the directory that contains its content" if archives else ""


def _from_json(content: dict[str, list[str]]) -> Facts:
    return Facts(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})  # type: ignore[arg-type]


DIRECTORY = Directory()
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
