"""The columns of Parquet files: images, labels and class names, checked in every file before anything is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.data.datasets._class_names import Names, check_names, shown_names
from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

IMAGE, LABEL = ("image", "img"), ("label", "fine_label")


def image_column(files: Sequence[Path]) -> str:
    """Return the name of the column of images, which every file must have, with the bytes of images."""
    column = _common(files, IMAGE)
    for path in files:
        _check_images(path, column)
    return column


def read_labels(location: Path, train: Sequence[Path], test: Sequence[Path]) -> tuple[Names, list[np.ndarray]]:
    """Return the names of the classes, and the labels of both parts, int64, (n,), in the order of these names.

    Raises:
        SpecError: when files contradict each other, a label is missing or out of range, or a class has no images.
    """
    column = _common((*train, *test), LABEL)
    named = [_names(files, column) for files in (train, test)]
    if all(named) and (odd := sorted(set(named[0]) ^ set(named[1]))):
        raise SpecError(f"train and test of {location} must have the same classes; only one has {shown_names(odd)}")
    listed = _listed(location)
    for names in filter(None, named):
        if listed and listed != names:
            raise SpecError(
                f"{location / 'classes.txt'} must have the class names in the metadata of the Parquet files, in the "
                f"same order: {shown_names(names)}; got {shown_names(listed)}; correct or rename it"
            )
    classes = named[0] or named[1] or listed
    labels: list[np.ndarray] = []
    for files, names in zip((train, test), named, strict=True):
        labels.append(_in_order(_labels(files, column, len(classes)), names, classes))
        _check_every_class(files, labels[-1], classes)
        classes = classes or tuple(map(str, range(1 + int(labels[-1].max()))))
    return classes, labels


def _common(files: Sequence[Path], names: Sequence[str]) -> str:
    """Return the first of some columns that the first file has; every file must have it."""
    found = [name for name in names if name in _schema(files[0]).names]
    for path in files:
        if not found or found[0] not in _schema(path).names:
            wanted = f"{found[0]}, as {files[0].name} has" if found else " or ".join(names)
            raise SpecError(f"{path} must have a column {wanted}, got {', '.join(_schema(path).names)}")
        if (number := _schema(path).names.count(found[0])) > 1:
            raise SpecError(f"{path} must have one column {found[0]}, got {number}; remove or rename the others")
    return found[0]


def _check_images(path: Path, column: str) -> None:
    """Refuse a column of images without bytes, before each of its images counts as corrupt."""
    import pyarrow as pa

    kind = _schema(path).field(column).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    binary = "is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary"
    if not any(getattr(pa.types, test)(kind) for test in binary):
        raise SpecError(f"{column} in {path} must contain the bytes of image files, got type {kind}")


def check_bytes(files: Sequence[Path], column: str) -> None:
    """Refuse rows without the bytes of an image, such as those with only the path of a file.

    The statistics of a file have their number. In a file without statistics, the images are read.
    """
    import pyarrow.parquet as pq

    for path in files:
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
        of_images = [one.statistics for one in chunks if one.path_in_schema in (column, f"{column}.bytes")]
        if all(one is not None and one.has_null_count for one in of_images):
            missing = sum(one.null_count for one in of_images)
        else:
            missing = _count_missing(path, column)
        if missing:
            raise SpecError(
                f"{column} in {path} must contain the bytes of an image in every row, got none in {missing:,} of "
                f"{metadata.num_rows:,} rows; write the file again with the bytes, or without these rows"
            )


def _count_missing(path: Path, column: str) -> int:
    """Return the number of rows without the bytes of an image."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = (batch.column(0) for batch in file.iter_batches(256, columns=[column]))
            images = (pc.struct_field(one, "bytes") if pa.types.is_struct(one.type) else one for one in columns)
            return sum(one.null_count for one in images)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _schema(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _names(files: Sequence[Path], column: str) -> Names:
    """Return the class names in the metadata of the files of a part; a file without names has those of the others."""
    first: tuple[Path, Names] | None = None
    for path in files:
        names = _names_in_metadata(path, column)
        if first and names and names != first[1]:
            raise SpecError(
                f"{path} and {first[0].name} must name the same classes in the same order in their metadata, because "
                f"they are shards of one part; write them again from one dataset"
            )
        first = first or ((path, names) if names else None)
    return first[1] if first else ()


def _names_in_metadata(path: Path, column: str) -> Names:
    """Return the class names that the hub's library wrote into the metadata of a file; empty if there are none."""
    try:
        content = json.loads((_schema(path).metadata or {})[b"huggingface"])
        names = content["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    if not isinstance(names, list):
        raise SpecError(f"the class names in the metadata of {path} must be a list, got {ascii(names)[:80]}")
    return check_names(names, f"the metadata of {path}")


def _listed(location: Path) -> Names:
    """Return the class names in `classes.txt`, one per line up to a tab; empty if there is no such file."""
    path = location / "classes.txt"
    if not path.is_file():
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} must be a text file in UTF-8, got: {error}; save it as UTF-8") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return check_names([line.split("\t")[0].strip() for line in lines], path)


def _in_order(labels: np.ndarray, names: Names, classes: Names) -> np.ndarray:
    """Return labels numbered in the order of the classes, where a part has an order of its own."""
    import numpy as np

    if not names or names == classes:
        return labels
    if len(set(names)) < len(names) or len(names) != len(classes):
        raise SpecError(f"class names must differ from each other to be put in order, got {shown_names(names)}")
    numbers = {name: number for number, name in enumerate(classes)}
    in_order: np.ndarray = np.array([numbers[name] for name in names], np.int64)[labels]
    return in_order


def _labels(files: Sequence[Path], column: str, classes: int) -> np.ndarray:
    """Return the labels of some files; 0 classes allow any label from 0 on.

    Raises:
        SpecError: when a label is missing or not that of a class.
    """
    import numpy as np

    tables = [_table(path, column) for path in files]
    if any(table[0].null_count for table in tables):
        raise SpecError(f"every image in {files[0].parent} must have a label; some are missing")
    labels: np.ndarray = np.concatenate([table[0].to_numpy() for table in tables]).astype(np.int64)
    most = classes - 1 if classes else int(labels.max(initial=0))
    if not len(labels) or labels.min() < 0 or labels.max() > most:
        found = f"{labels.min()} to {labels.max()}" if len(labels) else "no rows"
        raise SpecError(f"labels in {files[0].parent}, such as in {files[0].name}, must be 0 to {most}, got {found}")
    return labels


def _table(path: Path, column: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = _schema(path).field(column).type
    if not pa.types.is_integer(kind.value_type if pa.types.is_dictionary(kind) else kind):
        raise SpecError(f"{column} in {path} must contain whole numbers from 0 on, got type {kind}")
    try:
        table = pq.read_table(path, columns=[column])
        return table.cast(pa.schema([(column, kind.value_type)])) if pa.types.is_dictionary(kind) else table
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> SpecError:
    return SpecError(f"{path} is damaged: {str(error).splitlines()[0]}")


def _check_every_class(files: Sequence[Path], labels: np.ndarray, classes: Names) -> None:
    """Refuse labels with gaps, without an array of the size of the largest label."""
    import numpy as np

    present = np.unique(labels)
    number = len(classes) or 1 + int(present[-1])
    if absent := number - len(present):
        first = np.setdiff1d(np.arange(min(number, len(present) + 5)), present)[:5]
        shown = ", ".join(map(str, first)) + (", …" if absent > len(first) else "")
        raise SpecError(
            f"every label from 0 to {number - 1} must have images in {files[0].parent}, such as in {files[0].name}; "
            f"{absent} of {number} have none: {shown}; number the classes that have images from 0 on"
        )
