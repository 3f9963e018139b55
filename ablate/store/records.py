"""Records: one JSON file per finished run, written atomically. They are the only results that the suite stores.

A record has `schema`, `key`, `run` (every field), `metrics`, `history` (one entry per epoch), `complexity`, `dataset`,
`cost` (times, rates, memory) and `provenance`. Only the last two may differ between two equal runs: on a CPU, equal
runs have bit-equal `metrics` and `history`.

`checksum` is a sha256 over the rest. A record with a wrong checksum is still read; `intact` checks it, and the
verification of a report reports it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.errors import SpecError
from ablate.spec.run import ADDED_LATER, Run
from ablate.store.root import write_atomically

SCHEMA = 1
NOT_RECORDS = frozenset({"speed"})
NUMBER = (int, float)
REQUIRED: dict[str, dict[str, Any]] = {
    "run": {"dataset": str, "seed": int},
    "metrics": {"top1": NUMBER, "loss": NUMBER, "n": int},
    "complexity": {"params": int, "macs": int},
    "dataset": {"fingerprint": str},
    "cost": {"total_s": NUMBER, "training_s": NUMBER, "images_per_s": NUMBER},
    "provenance": {"versions": dict, "resources": dict, "finished": str},
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """The result of one run; the docstring of the module describes the fields."""

    key: str
    run: dict[str, Any]
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    complexity: dict[str, Any]
    dataset: dict[str, Any]
    cost: dict[str, Any]
    provenance: dict[str, Any]
    schema: int = SCHEMA
    checksum: str | None = field(default=None, compare=False)

    def answers(self, run: Run, fingerprint: str | None = None) -> bool:
        """Return whether this is the record of a run and, if a fingerprint is given, of that data."""
        same_data = fingerprint is None or self.dataset["fingerprint"] == fingerprint
        return same_data and self.key == run.key and {**ADDED_LATER, **self.run} == run.to_dict()

    def as_run(self) -> Run:
        """Return the run of this record; fields that are newer than the record have the value of the old behaviour."""
        return Run.from_dict({**ADDED_LATER, **self.run})


def path_of(results: Path, run: Run) -> Path:
    """Return the path of a run's record."""
    return results / run.dataset / f"{run.key}.json"


def write(results: Path, record: Record) -> Path:
    """Write a record, unless the run already has one; return its path."""
    path = results / str(record.run["dataset"]) / f"{record.key}.json"
    if not path.exists():
        content = asdict(record) | {"checksum": checksum(record)}
        write_atomically(path, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def checksum(record: Record) -> str:
    """Return a sha256 over the content of a record, independent of the order of keys and the layout of the file."""
    content = {item.name: getattr(record, item.name) for item in fields(record) if item.name != "checksum"}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def intact(record: Record) -> bool | None:
    """Return whether a record is unchanged since it was written; None if it is older than checksums."""
    return None if record.checksum is None else record.checksum == checksum(record)


def set_aside(path: Path) -> None:
    """Rename the record of a run on other data, so that it no longer counts as a record."""
    fingerprint = re.sub(r"\W", "_", str(read(path).dataset["fingerprint"])[:8])  # part of a file name
    with suppress(FileNotFoundError):  # another launcher has done it
        os.replace(path, path.with_suffix(f".{fingerprint}.superseded"))


def read(path: Path, *, history: bool = True) -> Record:
    """Read the record in a file.

    Args:
        history: False skips the history, which is several times faster for a record of many epochs.

    Raises:
        SpecError: when the file is not a record, or has a newer schema than this version.
    """
    try:
        data = path.read_bytes()
        content = orjson.loads(data if history else _without_history(data))
    except (OSError, orjson.JSONDecodeError) as error:
        raise SpecError(
            f"cannot read the record {path}: {error}; restore it, or move it away to train the run again"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise SpecError(
            f"{path} is not the record of a run: it has no schema number; move it out of the results folder"
        )
    if content["schema"] > SCHEMA:
        raise SpecError(
            f"the schema of the record {path} must be at most {SCHEMA} for this version of ablate, "
            f"got {content['schema']}; upgrade ablate"
        )
    if missing := list(_missing(content)):
        raise SpecError(
            f"the record {path} lacks {', '.join(missing)}; restore it, or move it away to train the run again"
        )
    if content["key"] != path.stem:
        raise SpecError(f"{path} is the record of run {content['key']} under another name; move the copy away")
    return Record(**{item.name: content[item.name] for item in fields(Record) if item.name in content})


def _without_history(data: bytes) -> bytes:
    """Return the content of a record's file with an empty history, if its layout is that of `write`; else unchanged.

    The delimiters contain line breaks, which a JSON string cannot: they match only at the top level.
    """
    head, start, rest = data.partition(b'\n  "history": [\n')
    _, end, tail = rest.partition(b"\n  ],\n")
    return head + b'\n  "history": [],\n' + tail if start and end else data


def _missing(content: dict[str, Any]) -> Iterator[str]:
    """Yield the required fields and values of a record that are missing or of the wrong type."""
    for item in fields(Record):
        kind = {"schema": int, "key": str, "history": list, "checksum": str | None}.get(item.name, dict)
        if not isinstance(content.get(item.name), kind):
            yield item.name
    for part, names in REQUIRED.items():
        values = content.get(part)
        if isinstance(values, dict):
            yield from (f"{part}.{name}" for name, kind in names.items() if not isinstance(values.get(name), kind))


def index(results: Path) -> dict[str, Path]:
    """Return the path of every record under a folder, by key.

    Raises:
        SpecError: when two files have the same key.
    """
    return {key: Path(name) for key, name in names(results).items()}


def names(results: Path) -> dict[str, str]:
    """Return the same as strings, which are much faster to create than `Path`s."""
    found: dict[str, str] = {}
    for folder, name in _files(results):
        key, path = name.removesuffix(".json"), os.path.join(folder, name)
        if key in found:
            raise SpecError(f"run {key} has two records, {found[key]} and {path}; move one of them away")
        found[key] = path
    return found


def _files(results: Path) -> Iterator[tuple[str, str]]:
    """Yield folder and name of every record's file, sorted."""
    for folder, subfolders, files in os.walk(results):
        subfolders[:] = sorted(set(subfolders) - NOT_RECORDS)
        yield from ((folder, name) for name in sorted(files) if name.endswith(".json") and name[0] != ".")


def read_all(results: Path) -> list[Record]:
    """Return every record under a folder, sorted by path."""
    return [read(path) for path in index(results).values()]
