"""Find the Parquet files of a directory, and refuse copies and incomplete sets of shards."""

from __future__ import annotations

import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ablate.data.datasets._layout import HIDDEN, TEST_NAMES, refuse_bytes
from ablate.spec.errors import SpecError

SHARD = re.compile(
    r"(.*?)-(\d+)-of-(\d+)(.*)\.parquet"
)  # train-00000-of-00003.parquet, possibly with a hash at the end
COPY = re.compile(r"[ (~].*|[-_.]?copy.*", re.IGNORECASE)  # what is appended to the name of a copy


def parquet_files(location: Path) -> list[Path]:
    """Return the Parquet files in `data/`, else in the directory itself, sorted by name, without hidden ones.

    Raises:
        SpecError: for a link to nothing, and for anything but a regular file, such as a pipe, which never ends.
    """
    for folder in (location / "data", location):
        if found := _in(folder):
            if odd := [path for path in found if not path.is_file()]:
                names = f"move the files in it to {folder}, with names such as train-00000-of-00002.parquet"
                what = f"got a folder; {names}" if odd[0].is_dir() else "remove it, or restore what it links to"
                raise SpecError(f"{odd[0]} must be a regular file; {what}")
            for path in found:
                refuse_bytes(path, "the name of")
            return found
    return []


def _in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith(HIDDEN))


def _part(path: Path) -> str:
    """Return the beginning of a name, which is the part of a file."""
    return re.split(r"[-_.]", path.name)[0]


def split(location: Path) -> tuple[list[Path], list[Path]]:
    """Return the training and the test files, by the beginning of their names.

    Raises:
        SpecError: when a part is missing, incomplete, or contains the same rows twice.
    """
    files = parquet_files(location)
    _refuse_named_copies(files)
    named: dict[str, list[Path]] = {}
    for path in files:
        named.setdefault(_part(path), []).append(path)
    tests = [named[name] for name in TEST_NAMES if name in named]
    if "train" not in named or not tests:
        known = ", ".join(sorted(named))
        raise SpecError(
            f"Parquet files in {location} must be called train-*.parquet and validation-*.parquet, got {known}"
        )
    for part in (named["train"], tests[0]):
        _check_shards(part)
        _refuse_equal(part)
    return named["train"], tests[0]


def left_out(location: Path, used: Sequence[Sequence[Path]]) -> dict[str, int]:
    """Return the number of Parquet files that belong to neither part, by reason."""
    found = {path for folder in (location / "data", location) for path in _in(folder)}
    number = len(found.difference(*used))
    return {f"neither train nor {_part(used[1][0])}": number} if number else {}


def footer(path: Path) -> bytes:
    """Return the footer of a Parquet file; its length is in the four bytes before the last four."""
    with open(path, "rb") as file:
        file.seek(-8, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, io.SEEK_END)
        return file.read(length)


def _refuse_named_copies(files: Sequence[Path]) -> None:
    """Refuse names such as `train (1).parquet` beside `train.parquet`."""
    stems = sorted((path.stem for path in files), key=len)
    for path in files:
        for stem in stems:
            if path.stem.startswith(stem) and COPY.fullmatch(path.stem[len(stem) :]):
                raise _copy(path, f"{stem}.parquet")


def _check_shards(files: Iterable[Path]) -> None:
    """Check that the shards of each set, PREFIX-00000-of-00003 and so on, are complete and occur once."""
    sets: dict[str, dict[int, dict[int, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in files:
        if match := SHARD.fullmatch(path.name):
            prefix, number, total = match[1], int(match[2]), int(match[3])
            if twin := sets[prefix][total].get(number):
                raise _copy(path, twin.name)
            sets[prefix][total][number] = path
    for totals in sets.values():
        if len(totals) > 1:
            one, other = (next(iter(shards.values())).name for shards in list(totals.values())[:2])
            raise SpecError(f"{one} and {other} must be shards of one set; remove the files of the other set")
        for total, shards in totals.items():
            _check_complete(shards, total)


def _check_complete(shards: dict[int, Path], total: int) -> None:
    first = 1 if total in shards else 0  # the hub counts from 0, others from 1
    if absent := [number for number in range(first, first + min(total, len(shards) + 5)) if number not in shards]:
        path = next(iter(shards.values()))
        raise SpecError(
            f"{path.parent} contains {len(shards)} of {total} shards such as {path.name}; add the missing ones, the "
            f"first of which has number {absent[0]}"
        )


def _refuse_equal(files: Iterable[Path]) -> None:
    """Refuse files of equal content, whatever they are called; only those of equal size and footer are read."""
    seen: dict[tuple[int, bytes], list[Path]] = defaultdict(list)
    for path in files:
        alike = seen[path.stat().st_size, _end(path)]
        for other in alike:
            if _content(path) == _content(other):
                raise _copy(path, other.name)
        alike.append(path)


def _end(path: Path) -> bytes:
    """Return the last bytes of a file, which need not be valid Parquet here."""
    with open(path, "rb") as file:
        file.seek(-min(path.stat().st_size, 65_536), io.SEEK_END)
        return file.read()


def _content(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _copy(path: Path, original: str) -> SpecError:
    return SpecError(f"{path} must not be a copy of {original}, since its images would count twice; remove one of them")
