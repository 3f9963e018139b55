"""One JSON file per finished run, written atomically; the only memory the suite has.

Keys of a record: `schema`, `key`, `run` (every field), `metrics`, `history` (an entry per epoch), `complexity`,
`dataset`, `cost` (times, rates, memory) and `provenance`. Whatever may differ between two equal runs stands under
the last two, so that on a CPU equal runs have equal `metrics` and `history`, bit for bit.

`checksum` is a sha256 over all the rest. A record whose checksum does not fit is read like any other: `intact` tells,
and the audit of a report says so.
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
NEEDED: dict[str, dict[str, Any]] = {
    "run": {"dataset": str, "seed": int},
    "metrics": {"top1": NUMBER, "loss": NUMBER, "n": int},
    "complexity": {"params": int, "macs": int},
    "dataset": {"fingerprint": str},
    "cost": {"total_s": NUMBER, "training_s": NUMBER, "images_per_s": NUMBER},
    "provenance": {"versions": dict, "resources": dict, "finished": str},
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one run left behind; see the module's docstring for the parts."""

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
        """Whether this record is of that run, and of that data where a fingerprint is given."""
        same_data = fingerprint is None or self.dataset["fingerprint"] == fingerprint
        return same_data and self.key == run.key and {**ADDED_LATER, **self.run} == run.to_dict()

    def as_run(self) -> Run:
        """The run this is a record of; a field younger than the record holds what stood for it then."""
        return Run.from_dict({**ADDED_LATER, **self.run})


def path_of(results: Path, run: Run) -> Path:
    """Where a run's record is written."""
    return results / run.dataset / f"{run.key}.json"


def write(results: Path, record: Record) -> Path:
    """Write a record; where the run has one already, that one stays."""
    path = results / str(record.run["dataset"]) / f"{record.key}.json"
    if not path.exists():
        content = asdict(record) | {"checksum": checksum(record)}
        write_atomically(path, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def checksum(record: Record) -> str:
    """A sha256 over a record's content, whatever the order of its keys and the layout of its file."""
    content = {item.name: getattr(record, item.name) for item in fields(record) if item.name != "checksum"}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def intact(record: Record) -> bool | None:
    """Whether a record is as it was written; None where it is older than checksums and cannot tell."""
    return None if record.checksum is None else record.checksum == checksum(record)


def set_aside(path: Path) -> None:
    """Keep a record that does not answer its run (it is of other data) under a name that is no record's."""
    fingerprint = re.sub(r"\W", "_", str(read(path).dataset["fingerprint"])[:8])  # it is to be a part of a name
    with suppress(FileNotFoundError):  # another launcher was faster
        os.replace(path, path.with_suffix(f".{fingerprint}.superseded"))


def read(path: Path, *, history: bool = True) -> Record:
    """The record in a file.

    Args:
        history: False leaves the history empty, which reads a record of many epochs several times faster.

    Raises:
        SpecError: when the file is no record, or one of a newer schema than this version knows.
    """
    try:
        data = path.read_bytes()
        content = orjson.loads(data if history else _without_history(data))
    except (OSError, orjson.JSONDecodeError) as error:
        raise SpecError(
            f"cannot read the record {path}: {error}; restore it, or move it away to train it again"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise SpecError(f"{path} is no record of a run: it has no schema number; move it out of the results folder")
    if content["schema"] > SCHEMA:
        raise SpecError(
            f"the record {path} has schema {content['schema']}; this version of ablate knows up to {SCHEMA}: upgrade it"
        )
    wanted = [item.name for item in fields(Record)]
    if missing := list(_missing(content)):
        raise SpecError(f"the record {path} lacks {', '.join(missing)}; restore it, or move it away to train it again")
    if content["key"] != path.stem:
        raise SpecError(f"{path} is the record of run {content['key']}, under another name; move the copy away")
    return Record(**{name: content[name] for name in wanted if name in content})


def _without_history(data: bytes) -> bytes:
    """A record's file with its history cut out, where the file is laid out as `write` does; else all of it.

    The marks hold line breaks, which a string in JSON cannot: they are found nowhere but at the record's own level.
    """
    head, start, rest = data.partition(b'\n  "history": [\n')
    _, end, tail = rest.partition(b"\n  ],\n")
    return head + b'\n  "history": [],\n' + tail if start and end else data


def _missing(content: dict[str, Any]) -> Iterator[str]:
    """The parts of a record that are not there or of the wrong kind, and the numbers that every reader needs."""
    for item in fields(Record):
        kind = {"schema": int, "key": str, "history": list, "checksum": str | None}.get(item.name, dict)
        if not isinstance(content.get(item.name), kind):
            yield item.name
    for part, names in NEEDED.items():
        values = content.get(part)
        if isinstance(values, dict):
            yield from (f"{part}.{name}" for name, kind in names.items() if not isinstance(values.get(name), kind))


def index(results: Path) -> dict[str, Path]:
    """The key and file of every record under a folder.

    Raises:
        SpecError: when two files claim one key.
    """
    return {key: Path(name) for key, name in names(results).items()}


def names(results: Path) -> dict[str, str]:
    """The same with bare file names, of which ten thousand are made in no time."""
    found: dict[str, str] = {}
    for folder, name in _files(results):
        key, path = name.removesuffix(".json"), os.path.join(folder, name)
        if key in found:
            raise SpecError(f"run {key} has two records, {found[key]} and {path}; move one of them away")
        found[key] = path
    return found


def _files(results: Path) -> Iterator[tuple[str, str]]:
    """Folder and name of every record's file, in order."""
    for folder, below, files in os.walk(results):
        below[:] = sorted(set(below) - NOT_RECORDS)
        yield from ((folder, name) for name in sorted(files) if name.endswith(".json") and name[0] != ".")


def read_all(results: Path) -> list[Record]:
    """Every record under a folder, by path."""
    return [read(path) for path in index(results).values()]
