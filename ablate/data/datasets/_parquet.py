"""Parquet files as on the Hugging Face hub: `data/train-*.parquet` and `data/validation-*.parquet` (or `test-`).

A row has `image` or `img` (a struct of `bytes` and `path`, or only the bytes), and `label` or `fine_label`. Class names
come from the metadata of the files, else from `classes.txt`, else they are numbers.
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

from ablate.data.datasets._layout import HIDDEN, TEST_NAMES, Catalogue, Facts
from ablate.spec.errors import SpecError
from ablate.store import cache

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

IMAGE, LABEL = ("image", "img"), ("label", "fine_label")


@dataclass(frozen=True)
class ParquetReader:
    """Rows by index. Only the last row group is kept in memory, so it is fast only in order.

    Args:
        files: paths in the order of the indices.
        column: name of the column with images.
        fingerprint: name of the copy in the cache for random access.
    """

    files: tuple[Path, ...]
    column: str
    fingerprint: str
    _kept: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _groups(self) -> tuple[list[tuple[Path, int]], list[int]]:
        """File and number of every row group, and the index after its last row."""
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
        """Return the encoded image.

        Raises:
            ValueError: when the row contains none.
        """
        group, row = self._at(index)
        if group not in self._kept:
            self._kept.clear()
            self._kept[group] = self._read(group)
        content: bytes | None = self._kept[group][row].as_py()
        if content is None:
            raise ValueError("the row contains no bytes")
        return content

    def _at(self, index: int) -> tuple[int, int]:
        """Return row group and row of an index."""
        ends = self._groups[1]
        group = bisect_right(ends, index)
        return group, index - (ends[group - 1] if group else 0)

    def _read(self, group: int) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, number = self._groups[0][group]
        with pq.ParquetFile(path) as file:
            # One thread, since pyarrow's threads do not survive a fork into a loader process.
            column = file.read_row_group(number, columns=[self.column], use_threads=False)[self.column].combine_chunks()
        return column.field("bytes") if pa.types.is_struct(column.type) else column

    def name(self, index: int) -> str:
        """Return file, row group and row."""
        group, row = self._at(index)
        path, number = self._groups[0][group]
        return f"{path.name} row group {number} row {row}"

    def random_access(self) -> UnpackedReader:
        """Return a reader of a copy in the cache, which is as large as the Parquet files."""
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
    """Encoded images in one file, and the end of each."""

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
        """Return the original file, row group and row."""
        return self.origin.name(index)

    def random_access(self) -> UnpackedReader:
        """Return this reader."""
        return self


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
    """Return the rows in the order of file names."""
    import numpy as np

    train, test = _parts(location)
    classes = _classes(location, train)
    labels = [_labels(files, classes) for files in (train, test)]
    reader = ParquetReader((*train, *test), _column(train[0], IMAGE), facts(location).fingerprint)
    return Catalogue(reader=reader, labels=np.concatenate(labels), n_train=len(labels[0]), classes=classes)


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


def _column(path: Path, names: tuple[str, ...]) -> str:
    """Return the first of some columns that a file has."""
    found: list[str] = _schema(path).names
    for name in names:
        if name in found:
            return name
    raise SpecError(f"{path} must have a column {' or '.join(names)}, got {', '.join(found)}")


def _check_images(files: tuple[Path, ...]) -> None:
    """Refuse a column of images without bytes, before each of its images counts as corrupt."""
    import pyarrow as pa

    for path in files:
        kind = _schema(path).field(column := _column(path, IMAGE)).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise SpecError(f"{column} in {path} must contain the bytes of image files, got type {kind}")


def _schema(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _classes(location: Path, files: list[Path]) -> tuple[str, ...]:
    """Return the names of the labels."""
    column = _column(files[0], LABEL)
    if names := _names_in_metadata(files[0], column):
        return tuple(map(str, names))
    listed = location / "classes.txt"
    if listed.is_file():
        lines = listed.read_text(encoding="utf-8").splitlines()
        return tuple(line.split("\t")[0].strip() for line in lines if line.strip())
    return tuple(map(str, range(1 + int(_labels(files, None).max()))))


def _names_in_metadata(path: Path, column: str) -> list[str]:
    """Return the class names that the hub's library wrote into the metadata of a file; empty if there are none."""
    try:
        content = json.loads((_schema(path).metadata or {})[b"huggingface"])
        return list(content["info"]["features"][column]["names"])
    except (KeyError, TypeError, ValueError):
        return []


def _labels(files: list[Path], classes: tuple[str, ...] | None) -> np.ndarray:
    """Return the labels of some files, int64, (n,).

    Raises:
        SpecError: when a label is missing or not that of a class.
    """
    import numpy as np

    tables = [_table_of_labels(path) for path in files]
    if any(table[0].null_count for table in tables):
        raise SpecError(f"every image in {files[0].parent} must have a label; some are missing")
    labels: np.ndarray = np.concatenate([table[0].to_numpy() for table in tables]).astype(np.int64)
    most = int(labels.max(initial=0)) if classes is None else len(classes) - 1
    if not len(labels) or labels.min() < 0 or labels.max() > most:
        found = f"{labels.min()} to {labels.max()}" if len(labels) else "no rows"
        raise SpecError(f"labels in {files[0].parent}, such as in {files[0].name}, must be 0 to {most}, got {found}")
    return labels


def _table_of_labels(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = _column(path, LABEL)
    if not pa.types.is_integer(kind := _schema(path).field(column).type):
        raise SpecError(f"{column} in {path} must contain whole numbers from 0 on, got type {kind}")
    try:
        return pq.read_table(path, columns=[column])
    except (pa.ArrowException, OSError) as error:
        raise SpecError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def _counts(labels: np.ndarray, classes: int) -> np.ndarray:
    import numpy as np

    return np.bincount(labels, minlength=classes)


def _footer(path: Path) -> bytes:
    """Return the footer of a Parquet file; its length is in the four bytes before the last four."""
    with open(path, "rb") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        return file.read(length)
