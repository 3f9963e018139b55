"""Records as rows of a table, cached so that each record is read once; and what is wrong with some of them.

The table is a list per column: thousands of dicts with equal keys would be slow to read and large. The cache may be
deleted at any time. A cached row is valid while the size, times and inode of its record's file are unchanged, and while
the source files that create rows are unchanged.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache as once
from itertools import compress
from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.run import ADDED_LATER, Run
from ablate.store import cache, records
from ablate.store.listing import Listing, listing
from ablate.store.records import Record

Columns = dict[str, list[Any]]
Stamp = list[int]

KIND: cache.Kind = "rows"
SOURCES = ("store/rows", "store/records", "store/json_files", "spec/run")
FIRST = ("key", *(item.name for item in fields(Run)), "top1", "top5", "loss", "n", "params", "macs", "tokens")
DAMAGE = "damage"  # the column of what is wrong with a record
# A file changed within this time may change again without a new time stamp, as clocks of file systems are coarse: its
# row is not cached.
SETTLED_NS = 2 * 10**9


@dataclass(frozen=True)
class Rows:
    """All records under a folder.

    Args:
        columns: of equal length, sorted by path; None for missing values. Records that cannot be used have no row.
        paths: the file of every row, by key.
        damage: a sentence about every record that was edited or damaged, by key. An edited record may have a row.
        note: a sentence that names the files that were passed over; empty if there are none.
    """

    columns: Columns
    paths: Mapping[str, str]
    damage: Mapping[str, str]
    note: str


def row(record: Record) -> dict[str, Any]:
    """Return one record as a row, without the outcome of each image and without the history."""
    provenance = {k: v for k, v in record.provenance.items() if not isinstance(v, Mapping | list)}
    versions = {f"version_{k}": v for k, v in record.provenance["versions"].items()}
    resources = {k: v for k, v in record.provenance["resources"].items() if k in ("threads", "workers")}
    metrics = {k: v for k, v in record.metrics.items() if not k.endswith("correct")}
    return {
        "key": record.key,
        **ADDED_LATER,
        **record.run,
        **metrics,
        **record.complexity,
        **record.cost,
        "fingerprint": record.dataset["fingerprint"],
        **provenance,
        **versions,
        **resources,
    }


def columns(results: Path) -> Columns:
    """Return every usable record under a folder as columns; those of edited ones say so in the column `damage`."""
    found = read(results)
    marks = [found.damage.get(key) for key in found.columns.get("key", ())]
    return found.columns | {DAMAGE: marks} if any(marks) else found.columns


def read(results: Path) -> Rows:
    """Return all records under a folder, with what is wrong with them."""
    listed = listing(results)
    paths, found = _columns(results, listed)
    if not found:
        return Rows({}, {}, {}, listed.note)
    keys, damage = found["key"], found.pop(DAMAGE)
    usable = [dataset is not None for dataset in found["dataset"]]
    if len(set(keys)) < len(paths):
        at_home = [Path(path).parent.name == name for path, name in zip(paths, found["dataset"], strict=True)]
        usable, damage = _one_each(paths, keys, usable, damage, at_home, listed)
    if not all(usable):
        found = {name: list(compress(column, usable)) for name, column in found.items()} if any(usable) else {}
    named = dict(zip(compress(keys, usable), compress(paths, usable), strict=True))
    return Rows(found, named, {key: text for key, text in zip(keys, damage, strict=True) if text}, listed.note)


def _one_each(
    paths: Sequence[str],
    keys: Sequence[str],
    usable: Sequence[bool],
    damage: Sequence[str | None],
    at_home: Sequence[bool],
    listed: Listing,
) -> tuple[list[bool], list[str | None]]:
    """Let one file count for each run that has several: the only whole one, or, of equal ones, that in its folder."""
    chosen, told = list(usable), list(damage)
    several: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        several.setdefault(key, []).append(at)
    for key, places in several.items():
        whole = [at for at in places if usable[at] and not damage[at]]
        kept = max(whole or places, key=at_home.__getitem__)
        if len({Path(paths[at]).read_bytes() for at in whole}) > 1:
            names = " and ".join(paths[at] for at in whole)
            chosen[kept], told[kept] = False, f"run {key} has several records, {names}; move all but one away"
        for at in places:
            if at != kept:
                chosen[at], told[at] = False, None
                listed.others.append(f"{paths[at]} (beside {paths[kept]})")
    return chosen, told


def _columns(results: Path, listed: Listing) -> tuple[list[str], Columns]:
    """Return the paths of all files named after a run, and a row for each."""
    stamps = {path: stamp for path in listed.records if (stamp := _stamp(path))}
    name = cache.key_of(results.absolute(), _sources())
    cached_stamps, cached = _read_cached(name)
    if cached_stamps == stamps and list(cached_stamps) == list(stamps):
        return list(stamps), cached
    fresh = {path: _row(path) for path in stamps if cached_stamps.get(path) != stamps[path]}
    found = _merge(list(stamps), fresh, list(cached_stamps), cached)
    settled = time.time_ns() - SETTLED_NS
    recent = [path for path, (_, modified, changed, _) in stamps.items() if max(modified, changed) > settled]
    if len(recent) < len(stamps):
        # No file has an empty stamp, so the row is read again.
        content = {"stamps": stamps | {path: [] for path in recent}, "columns": found}
        cache.write_note(KIND, name, content)
    return list(stamps), found


def _row(path: str) -> dict[str, Any]:
    """Return the row of a file; without the values of a record if it is not the one of the run it is named after."""
    empty = {"key": Path(path).stem, "dataset": None}
    try:
        record = records.read(Path(path))
    except SpecError as error:
        return empty | {DAMAGE: str(error)}
    damage = records.damage(record, path)
    if damage and not _has_its_key(record):
        return empty | {DAMAGE: damage}
    return row(record) | {DAMAGE: damage or None}


def _has_its_key(record: Record) -> bool:
    """Whether the fields of a record are those of the run it is named after, in this version of ablate."""
    try:
        return record.as_run().key == record.key
    except (SpecError, TypeError):
        return False


def _stamp(path: str) -> Stamp | None:
    """Return what changes with the content of a file, even if its time is set back; None if it no longer exists."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None if not os.path.islink(path) else [0, 0, 0, 0]
    except OSError:
        return [0, 0, 0, 0]  # such as a link to itself
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read_cached(name: str) -> tuple[dict[str, Stamp], Columns]:
    """Return the cached stamps and columns; empty ones if there are none, or damaged ones."""
    content = cache.read_note(KIND, name) or {}
    stamps, found = content.get("stamps"), content.get("columns")
    if not (isinstance(stamps, dict) and isinstance(found, dict)):
        return {}, {}
    whole = all(isinstance(column, list) and len(column) == len(stamps) for column in found.values())
    return (stamps, found) if whole else ({}, {})


@once
def _sources() -> str:
    """Return a digest of the source files that determine the content of a row."""
    package = Path(__file__).parents[1]
    return hashlib.sha256(b"".join((package / f"{name}.py").read_bytes() for name in SOURCES)).hexdigest()


def _merge(keys: list[str], fresh: Mapping[str, Mapping[str, Any]], cached_keys: list[str], cached: Columns) -> Columns:
    """Return the columns of all keys, from fresh rows and cached columns."""
    position = {key: at for at, key in enumerate(cached_keys)}
    at_of = [None if key in fresh else position[key] for key in keys]
    found: Columns = {}
    for name in sort_columns({*cached, *(name for found_row in fresh.values() for name in found_row)}):
        old = cached.get(name)
        found[name] = [
            fresh[key].get(name) if at is None else old and old[at] for key, at in zip(keys, at_of, strict=True)
        ]
    return found


def sort_columns(names: Iterable[str]) -> list[str]:
    """Return names of columns in order: the run's fields and the main results, then the rest alphabetically."""
    rank = {name: at for at, name in enumerate(FIRST)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))
