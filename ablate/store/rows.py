"""Records as rows of a table, cached so that each record is read once.

The table is a list per column: thousands of dicts with equal keys would be slow to read and large. The cache may be
deleted at any time. A cached row is valid while the size, times and inode of its record's file are unchanged, and while
the source files that create rows are unchanged.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache as once
from pathlib import Path
from typing import Any

from ablate.spec.run import ADDED_LATER, Run
from ablate.store import cache, records
from ablate.store.records import Record

Columns = dict[str, list[Any]]
Stamp = list[int]

KIND: cache.Kind = "rows"
SOURCES = ("store/rows", "store/records", "spec/run")
FIRST = ("key", *(item.name for item in fields(Run)), "top1", "top5", "loss", "n", "params", "macs", "tokens")
# A file changed within this time may change again without a new time stamp, as clocks of file systems are coarse: its
# row is not cached.
SETTLED_NS = 2 * 10**9


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
    """Return every record under a folder, sorted by path, as columns of equal length; None for missing values.

    Raises:
        SpecError: when a file is not a record, or a run has two records.
    """
    paths = records.names(results)
    stamps = {key: stamp for key, path in paths.items() if (stamp := _stamp(path))}
    name = cache.key_of(results.absolute(), _sources())
    cached_stamps, cached = _read_cached(name)
    if cached_stamps == stamps and list(cached_stamps) == list(stamps):
        return cached
    fresh = {
        key: row(records.read(Path(paths[key]), history=False))
        for key in stamps
        if cached_stamps.get(key) != stamps[key]
    }
    found = _merge(list(stamps), fresh, list(cached_stamps), cached)
    settled = time.time_ns() - SETTLED_NS
    recent = [key for key, (_, modified, changed, _) in stamps.items() if max(modified, changed) > settled]
    if len(recent) < len(stamps):
        # No file has an empty stamp, so the row is read again.
        cache.write_note(KIND, name, {"stamps": stamps | {key: [] for key in recent}, "columns": found})
    return found


def _stamp(path: str) -> Stamp | None:
    """Return what changes with the content of a file, even if its time is set back; None if it no longer exists."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
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
