"""Results of another root brought into this one: new ones are copied, equal ones stay, conflicting ones are listed.

A record or speed measurement is conflicting if this root has another one for the same run, or for the same model, mode,
batch size and device. Damaged ones, which do not match their checksum or cannot be read, are never copied.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from ablate.measure import record as speed_record
from ablate.spec.errors import SpecError
from ablate.store import records, rows
from ablate.store.root import Root, write_atomically

Kind = Literal["new", "same", "conflicting", "damaged"]
PARTS = ("run", "metrics", "history", "complexity", "dataset")  # of a record; the others may differ between equal runs
WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Found:
    """One file of the other root.

    Args:
        source: its path.
        target: where it belongs here; of a conflicting one, the file that is there.
        reason: why it is damaged, or how a conflicting one differs.
    """

    kind: Kind
    source: Path
    target: Path
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """The files of another root, and what was done with them.

    Args:
        copied: those that were copied; those that would be, if nothing was to be copied.
        replaced: where the replaced file of this root is now, by the file of the other root.
        weights: how many files of weights were copied.
    """

    files: Sequence[Found]
    copied: Sequence[Found]
    replaced: Mapping[str, str]
    weights: int

    @property
    def left_out(self) -> list[Found]:
        """Return the damaged and conflicting files that are not among the copied ones."""
        return [one for one in self.files if one.kind in ("damaged", "conflicting") and one not in self.copied]


def merge(other: Path, root: Root, *, dry_run: bool = False, force: bool = False, weights: bool = False) -> Merge:
    """Copy the records and speed measurements of another root, or of its results folder, into a root.

    Args:
        dry_run: copy nothing.
        force: replace conflicting ones, and keep those beside.
        weights: also copy the final weights of the records that are new or equal.

    Raises:
        SpecError: when there is no such folder, or it is that of the root.
    """
    results = results_of(other)
    found = compare(results, root)
    chosen = [one for one in found if one.kind == "new" or (force and one.kind == "conflicting")]
    if dry_run:
        return Merge(files=found, copied=chosen, replaced={}, weights=0)
    root.make_writable()
    replaced = {str(one.source): str(kept) for one in chosen if (kept := copy(one)) is not None}
    weighty = [one for one in found if one.kind == "same" or one in chosen] if weights else []
    copied = sum(_copy_weights_of(one.target.stem, results, root) for one in weighty)
    return Merge(files=found, copied=chosen, replaced=replaced, weights=copied)


def _copy_weights_of(key: str, results: Path, root: Root) -> bool:
    try:
        return copy_weights(results.parent / "runs" / key / WEIGHTS, root.run_folder(key) / WEIGHTS)
    except OSError as error:
        raise SpecError(f"cannot copy the weights of run {key}: {error.strerror}") from None


def results_of(path: Path) -> Path:
    """Return the results folder of a root, or the folder itself if it is one.

    Raises:
        SpecError: when there is no such folder.
    """
    if not path.is_dir():
        raise SpecError(f"OTHER must be a root or a results folder, got {path}, which is no folder")
    return path / "results" if (path / "results").is_dir() else path


def compare(other: Path, root: Root) -> list[Found]:
    """Return every record and speed measurement under another results folder, compared with those of a root.

    Raises:
        SpecError: when the folder is that of the root.
    """
    if other.resolve() == root.results.resolve():
        raise SpecError(f"OTHER must be another root, got the results of this one, {root.results}")
    return [*_records(other, root), *_speeds(other, root)]


def _records(other: Path, root: Root) -> Iterator[Found]:
    theirs, places = rows.read(other), records.index(other)
    mine = records.index(root.results)
    for key, path in sorted(places.items()):
        source = Path(theirs.paths.get(key, path))
        if damage := theirs.damage.get(key):
            yield Found("damaged", source, mine.get(key, root.results / path.name), damage)
        else:
            yield _record(source, mine.get(key), root)


def _record(path: Path, own: Path | None, root: Root) -> Found:
    try:
        record = records.read(path)
        target = records.path_of(root.results, record.as_run())
    except (SpecError, TypeError) as error:
        return Found("damaged", path, own or root.results / path.name, str(error))
    return _known(record, path, own) if own else Found("new", path, target.with_name(path.name))


def _known(record: records.Record, path: Path, own: Path) -> Found:
    """Compare a whole record with the one of this root."""
    try:
        here = records.read(own)
        damage = records.damage(here, own)
    except SpecError as error:
        damage = str(error)
    if damage:
        return Found("conflicting", path, own, f"the one here is damaged: {damage}")
    if record == here:
        return Found("same", path, own)
    parts = [part for part in PARTS if getattr(record, part) != getattr(here, part)]
    what = f"they differ in {', '.join(parts)}" if parts else "equal results, other costs or provenance"
    return Found("conflicting", path, own, f"{what}; top-1 there {record.metrics['top1']}, here {here.metrics['top1']}")


def _speeds(other: Path, root: Root) -> Iterator[Found]:
    damage = speed_record.damage(other)
    for path in speed_record.paths(other):
        target = root.results / speed_record.FOLDER / path.parent.name / path.name
        if str(path) in damage:
            yield Found("damaged", path, target, damage[str(path)])
        elif not os.path.lexists(target):
            yield Found("new", path, target)
        elif target.is_file() and path.read_bytes() == target.read_bytes():
            yield Found("same", path, target)
        else:
            yield Found("conflicting", path, target, "another measurement of the same model, mode and batch size")


def copy(found: Found) -> Path | None:
    """Copy one file into this root atomically; return where the file is kept that it replaced."""
    kept = None
    if os.path.lexists(found.target):
        kept = found.target.with_suffix(f".{uuid4().hex[:8]}.replaced")
        os.rename(found.target, kept)
    write_atomically(found.target, found.source.read_bytes())
    return kept


def copy_weights(source: Path, target: Path) -> bool:
    """Copy the final weights of a run atomically, unless there are some; return whether they were copied."""
    if not source.is_file() or os.path.lexists(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True
