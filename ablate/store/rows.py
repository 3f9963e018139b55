"""Records as flat rows, kept in the cache so that a record is read once: thousands of them make a frame in no time.

Rows stand as columns here, a list a column, since thousands of equal dicts would be slow to read and to hold. What is
kept may be deleted at any time. A row is used again only while its record's file has the size, times and inode it had,
and while this package's sources that make rows are the same.
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
# A file changed so lately may change again within the same tick of its file system's clock: its row is not kept.
SETTLED_NS = 2 * 10**9


def row(record: Record) -> dict[str, Any]:
    """One record, flat; the outcome of each picture and the history stay in the record."""
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
    """Every record under a folder, by path, as columns of equal length; None where a record lacks something.

    Raises:
        SpecError: for a file that is no record, or two records of one run.
    """
    paths = records.names(results)
    stamps = {key: stamp for key, path in paths.items() if (stamp := _stamp(path))}
    name = cache.key_of(results.absolute(), _sources())
    kept_stamps, kept = _kept(name)
    if kept_stamps == stamps and list(kept_stamps) == list(stamps):
        return kept
    fresh = {
        key: row(records.read(Path(paths[key]), history=False)) for key in stamps if kept_stamps.get(key) != stamps[key]
    }
    found = _merged(list(stamps), fresh, list(kept_stamps), kept)
    settled = time.time_ns() - SETTLED_NS
    lately = [key for key, (_, changed, noted, _) in stamps.items() if max(changed, noted) > settled]
    if len(lately) < len(stamps):
        # A stamp that no file has makes the row be read again.
        cache.keep_note(KIND, name, {"stamps": stamps | {key: [] for key in lately}, "columns": found})
    return found


def _stamp(path: str) -> Stamp | None:
    """What changes with a file's content, even where somebody sets its time back; None where it is gone by now."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _kept(name: str) -> tuple[dict[str, Stamp], Columns]:
    """The stamps and columns kept before; nothing where there are none, or damaged ones."""
    content = cache.note(KIND, name) or {}
    stamps, found = content.get("stamps"), content.get("columns")
    if not (isinstance(stamps, dict) and isinstance(found, dict)):
        return {}, {}
    whole = all(isinstance(column, list) and len(column) == len(stamps) for column in found.values())
    return (stamps, found) if whole else ({}, {})


@once
def _sources() -> str:
    """A digest of the sources that decide what a row holds."""
    package = Path(__file__).parents[1]
    return hashlib.sha256(b"".join((package / f"{name}.py").read_bytes() for name in SOURCES)).hexdigest()


def _merged(keys: list[str], fresh: Mapping[str, Mapping[str, Any]], kept_keys: list[str], kept: Columns) -> Columns:
    """The columns of all keys: rows read now, and for the rest those kept."""
    place = {key: at for at, key in enumerate(kept_keys)}
    at_of = [None if key in fresh else place[key] for key in keys]
    found: Columns = {}
    for name in ordered({*kept, *(name for found_row in fresh.values() for name in found_row)}):
        old = kept.get(name)
        found[name] = [
            fresh[key].get(name) if at is None else old and old[at] for key, at in zip(keys, at_of, strict=True)
        ]
    return found


def ordered(names: Iterable[str]) -> list[str]:
    """Names of columns: the run's fields and what everybody looks for, then the rest by alphabet."""
    rank = {name: at for at, name in enumerate(FIRST)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))
