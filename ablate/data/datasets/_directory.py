"""Any directory of images: a folder a class, or Parquet files as the Hugging Face hub has them.

Which it is, is seen from what lies there. `holdout` is taken from the training part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets import Encoded, Part, _folder, _parquet, check_batch, hold_out
from ablate.data.datasets._layout import Facts, Layout
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store.cache import key_of, read_note, write_note

if TYPE_CHECKING:
    import numpy as np

BEHAVIOUR = 1  # raise it too when what comes from a layout is mended
MANY = 10_000  # images from which the facts are kept in the cache


@dataclass(frozen=True)
class Directory:
    """A kind of dataset that lies in a directory.

    Args:
        layouts: what it may look like, the first that fits is taken.
        classes: how many there must be; 0 takes any number.
        usual: images to train on and to test on that it has as published; another number is only said.
        folders: what a class's folder is called, as a pattern; other names would number the classes otherwise, and
            weights from elsewhere would be wrong on all images.
        example: of such a name.
    """

    layouts: Sequence[Layout] = (_parquet, _folder)
    classes: int = 0
    usual: tuple[int, int] | None = None
    folders: str = ""
    example: str = ""

    def facts(self, location: Path | None) -> Facts:
        """What lies there; for many images, kept until a folder or a Parquet file changes.

        Raises:
            SpecError: when it will not do.
        """
        where, layout = self._layout(location)
        key = key_of(where.absolute(), layout, layout.stamp(where))
        kept = read_note("facts", key)
        facts = _from_json(kept) if kept else layout.facts(where)
        if not kept and sum(facts.train) + sum(facts.test) >= MANY:
            write_note("facts", key, asdict(facts))
        if self.classes and len(facts.classes) != self.classes:
            raise SpecError(f"{where} has {len(facts.classes):,} classes; wanted are {self.classes:,}, one folder each")
        if self.folders and layout is _folder:
            self._check_names(where, facts.classes)
        return facts

    def _check_names(self, where: Path, classes: Sequence[str]) -> None:
        if odd := [name for name in classes if not re.fullmatch(self.folders, name)]:
            raise SpecError(
                f"{where} has {len(odd):,} class folders that are not called as {self.example} is, such as {odd[0]}; "
                "rename them, or give the data another name with --data NAME=PATH"
            )

    def fingerprint(self, location: Path | None) -> str:
        """Hash of the files' names and sizes and of the labels, as the layout's `facts` says."""
        return self.facts(location).fingerprint

    def check(self, run: Run, location: Path | None) -> None:
        """The data must be there, hold the batch and the held-out part, and be read in a way that can augment it."""
        import numpy as np

        if run.resident and run.auto_augment:
            raise SpecError(
                f"auto_augment is {run.auto_augment!r}, which works on single images; wanted is loader='workers'"
            )
        train = self.facts(location).train
        check_batch(run, sum(train), len(train))
        hold_out(np.repeat(np.arange(len(train)), train), run.holdout)

    def load(self, run: Run, location: Path | None) -> Encoded:
        """The images of all parts."""
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
        """What lies there, in one line."""
        facts = self.facts(location)
        numbers = sum(facts.train), sum(facts.test)
        told = (
            f"{name} at {location}: {len(facts.classes):,} classes, {numbers[0]:,} images to train on, "
            f"{numbers[1]:,} to test on, fingerprint {facts.fingerprint}"
        )
        if self.usual is None or numbers == self.usual:
            return told
        return f"{told}; as published it has {self.usual[0]:,} and {self.usual[1]:,}"

    def _layout(self, location: Path | None) -> tuple[Path, Layout]:
        if location is None or not location.is_dir():
            raise SpecError(f"there is no image folder {location}; wanted is a directory with train/ and val/ in it")
        return location, next((layout for layout in self.layouts if layout.fits(location)), self.layouts[-1])


def _from_json(kept: dict[str, list[str]]) -> Facts:
    return Facts(**{name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})  # type: ignore[arg-type]


DIRECTORY = Directory()
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
