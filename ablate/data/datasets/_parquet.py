"""Parquet files as the Hugging Face hub has them: `data/train-*.parquet` and `data/validation-*.parquet` (or `test-`).

A row has `image` (a struct of `bytes` and `path`, or the bytes alone) or `img`, and `label` or `fine_label`. Names of
the classes come from the files' metadata, else from `classes.txt`, else they are numbers.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.data.datasets._layout import TEST_NAMES, Catalogue, Facts
from ablate.spec.errors import SpecError
from ablate.store import cache

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

IMAGE, LABEL = ("image", "img"), ("label", "fine_label")


@dataclass(frozen=True)
class ParquetReader:
    """Rows by index. The last row group read is kept, so it is quick in order only.

    Args:
        files: in the order of the indices.
        column: the images' column.
        fingerprint: names the copy that is quick in any order.
    """

    files: tuple[Path, ...]
    column: str
    fingerprint: str
    _kept: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _groups(self) -> tuple[list[tuple[Path, int]], list[int]]:
        """Every row group as file and number, and the index each one ends before."""
        import pyarrow.parquet as pq

        found, rows = [], []
        for path in self.files:
            metadata = pq.read_metadata(path)
            found += [(path, group) for group in range(metadata.num_row_groups)]
            rows += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return found, list(accumulate(rows))

    def __len__(self) -> int:
        return self._groups[1][-1]

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        return Image.open(io.BytesIO(self.encoded(index)))

    def encoded(self, index: int) -> bytes:
        """The image as it was stored.

        Raises:
            ValueError: when the row holds none.
        """
        group, row = self._at(index)
        if group not in self._kept:
            self._kept.clear()
            self._kept[group] = self._read(group)
        content: bytes | None = self._kept[group][row].as_py()
        if content is None:
            raise ValueError("the row holds no bytes")
        return content

    def _at(self, index: int) -> tuple[int, int]:
        """Row group and row of an index."""
        ends = self._groups[1]
        group = bisect_right(ends, index)
        return group, index - (ends[group - 1] if group else 0)

    def _read(self, group: int) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, number = self._groups[0][group]
        with pq.ParquetFile(path) as file:
            # One thread: pyarrow's own do not outlive a fork into a loader process.
            column = file.read_row_group(number, columns=[self.column], use_threads=False)[self.column].combine_chunks()
        return column.field("bytes") if pa.types.is_struct(column.type) else column

    def name(self, index: int) -> str:
        """File and row."""
        group, row = self._at(index)
        path, number = self._groups[0][group]
        return f"{path.name} row group {number} row {row}"

    def in_any_order(self) -> UnpackedReader:
        """A reader of the same bytes, laid one after the other in the cache, as large as the Parquet files are."""
        return UnpackedReader(cache.folder("unpacked", self.fingerprint, self._unpack), self)

    def _unpack(self, folder: Path) -> None:
        import numpy as np

        ends = [0]
        with open(folder / "pictures.bin", "wb") as file:
            for index in range(len(self)):
                try:
                    content = self.encoded(index)
                except ValueError:
                    content = b""
                file.write(content)
                ends.append(ends[-1] + len(content))
        np.save(folder / "ends.npy", np.array(ends, np.int64))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}


@dataclass(frozen=True)
class UnpackedReader:
    """Images' bytes in one file, and where each begins and ends."""

    folder: Path
    origin: ParquetReader

    @cached_property
    def _ends(self) -> np.ndarray:
        import numpy as np

        return np.load(self.folder / "ends.npy", mmap_mode="r")  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> Image.Image:
        from PIL import Image

        start, end = int(self._ends[index]), int(self._ends[index + 1])
        with open(self.folder / "pictures.bin", "rb") as file:
            file.seek(start)
            return Image.open(io.BytesIO(file.read(end - start)))

    def name(self, index: int) -> str:
        """File and row it came from."""
        return self.origin.name(index)

    def in_any_order(self) -> UnpackedReader:
        """Itself."""
        return self


def fits(location: Path) -> bool:
    """Whether Parquet files lie there."""
    return bool(_files(location))


def stamp(location: Path) -> str:
    """Every file's name, size and time, and the file with the classes' names."""
    found = [*_files(location), *location.glob("classes.txt")]
    return str([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found])


def facts(location: Path) -> Facts:
    """The fingerprint is over every file's size and footer, which has the size of each row group, and over all labels.

    The images' bytes are not read: another image of the very same size, in the same place, is not seen.
    """
    train, test = _parts(location)
    _check_images((*train, *test))
    classes = _classes(location, train)
    labels = [_labels(files, classes) for files in (train, test)]
    digest = hashlib.sha256()
    for part, files, of_part in zip(("train", "test"), (train, test), labels, strict=True):
        for path in files:
            digest.update(f"{part} {path.stat().st_size}\n".encode())
            digest.update(_footer(path))
        digest.update(of_part.tobytes())
    numbers = [tuple(map(int, _counts(of_part, len(classes)))) for of_part in labels]
    return Facts(classes=classes, train=numbers[0], test=numbers[1], fingerprint=digest.hexdigest()[:16])


def load(location: Path) -> Catalogue:
    """The rows in the order of the files' names."""
    import numpy as np

    train, test = _parts(location)
    classes = _classes(location, train)
    labels = [_labels(files, classes) for files in (train, test)]
    reader = ParquetReader((*train, *test), _column(train[0], IMAGE), facts(location).fingerprint)
    return Catalogue(reader=reader, labels=np.concatenate(labels), n_train=len(labels[0]), classes=classes)


def _files(location: Path) -> list[Path]:
    """The Parquet files of a directory, in `data/` or beside it, in the order of their names."""
    return sorted((location / "data").glob("*.parquet")) or sorted(location.glob("*.parquet"))


def _parts(location: Path) -> tuple[list[Path], list[Path]]:
    """The files to train on and to test on, by the beginning of their names."""
    named: dict[str, list[Path]] = {}
    for path in _files(location):
        named.setdefault(re.split(r"[-_.]", path.name)[0], []).append(path)
    tests = [named[name] for name in TEST_NAMES if name in named]
    if "train" not in named or not tests:
        known = ", ".join(sorted(named))
        raise SpecError(
            f"the Parquet files of {location} begin with {known}; wanted are train-*.parquet and validation-*.parquet"
        )
    return named["train"], tests[0]


def _column(path: Path, names: tuple[str, ...]) -> str:
    """The first of some columns that a file has."""
    found: list[str] = _schema(path).names
    for name in names:
        if name in found:
            return name
    raise SpecError(f"{path} has the columns {', '.join(found)}; wanted is one called {' or '.join(names)}")


def _check_images(files: tuple[Path, ...]) -> None:
    """Refuse a column of images that holds no bytes, before each of them counts as broken."""
    import pyarrow as pa

    for path in files:
        kind = _schema(path).field(column := _column(path, IMAGE)).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise SpecError(f"{column} in {path} is of type {kind}; wanted are the bytes of image files")


def _schema(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _classes(location: Path, files: list[Path]) -> tuple[str, ...]:
    """The names of the labels."""
    column = _column(files[0], LABEL)
    if names := _named_by_metadata(files[0], column):
        return tuple(map(str, names))
    listed = location / "classes.txt"
    if listed.is_file():
        lines = listed.read_text(encoding="utf-8").splitlines()
        return tuple(line.split("\t")[0].strip() for line in lines if line.strip())
    return tuple(map(str, range(1 + int(_labels(files, None).max()))))


def _named_by_metadata(path: Path, column: str) -> list[str]:
    """The names that the hub's library writes into a file for a column of labels; none where it says nothing."""
    try:
        told = json.loads((_schema(path).metadata or {})[b"huggingface"])
        return list(told["info"]["features"][column]["names"])
    except (KeyError, TypeError, ValueError):
        return []


def _labels(files: list[Path], classes: tuple[str, ...] | None) -> np.ndarray:
    """The labels of some files' rows, int64, (n,).

    Raises:
        SpecError: when one is missing, or none of the classes'.
    """
    import numpy as np

    tables = [_table_of_labels(path) for path in files]
    if any(table[0].null_count for table in tables):
        raise SpecError(f"a label is missing in {files[0].parent}; wanted is one for every image")
    labels: np.ndarray = np.concatenate([table[0].to_numpy() for table in tables]).astype(np.int64)
    most = int(labels.max(initial=0)) if classes is None else len(classes) - 1
    if not len(labels) or labels.min() < 0 or labels.max() > most:
        seen = f"labels from {labels.min()} to {labels.max()}" if len(labels) else "no rows"
        raise SpecError(f"{files[0].name} and its like in {files[0].parent} have {seen}; wanted are 0 to {most}")
    return labels


def _table_of_labels(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = _column(path, LABEL)
    if not pa.types.is_integer(kind := _schema(path).field(column).type):
        raise SpecError(f"{column} in {path} is of type {kind}; wanted are whole numbers, from 0")
    try:
        return pq.read_table(path, columns=[column])
    except (pa.ArrowException, OSError) as error:
        raise SpecError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def _counts(labels: np.ndarray, classes: int) -> np.ndarray:
    import numpy as np

    return np.bincount(labels, minlength=classes)


def _footer(path: Path) -> bytes:
    """A Parquet file's description of itself: its length stands before the last four bytes."""
    with open(path, "rb") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        return file.read(length)
