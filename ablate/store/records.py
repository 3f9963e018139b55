"""Records: one JSON file per finished run, written atomically. They are the only results that the suite stores.

A record has `schema`, `key`, `run` (every field), `metrics`, `history` (one entry per epoch), `complexity`, `dataset`,
`cost` (times, rates, memory) and `provenance`. Only the last two may differ between two equal runs: on a CPU, equal
runs have bit-equal `metrics` and `history`.

`checksum` is a sha256 over the rest. A record with a wrong checksum is still read; `damage` checks it, and whoever uses
the record marks it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import chain, count
from pathlib import Path
from typing import Any

import orjson

from ablate.spec.errors import SpecError
from ablate.spec.run import ADDED_LATER, Run
from ablate.store.json_files import NAMES, is_of, shown
from ablate.store.listing import listing, refusal
from ablate.store.root import write_atomically

SCHEMA = 1
REMEDY = "restore it, or move it away to train the run again"
LARGEST = 64 * 2**20  # bytes; a record of 300 epochs and 50,000 test images has a tenth of a MiB
REQUIRED: dict[str, dict[str, type]] = {
    "run": {"dataset": str, "seed": int},
    "metrics": {"top1": float, "loss": float, "n": int},
    "complexity": {"params": int, "macs": int},
    "dataset": {"fingerprint": str},
    "cost": {"total_s": float, "training_s": float, "images_per_s": float},
    "provenance": {"versions": dict, "resources": dict, "finished": str},
}
OPTIONAL: dict[str, dict[str, type]] = {
    "metrics": dict.fromkeys(("top5", "heldout_top1", "heldout_loss", "ema_top1", "ema_top5"), float)
    | {"correct": str, "ema_correct": str},
    "complexity": {"tokens": int},
    "dataset": {"classes": list, "channels": int, "n_train": int, "n_heldout": int, "n_test": int, "broken": dict},
    "cost": {"peak_memory_mib": float},
    "provenance": {"commit": str, "dirty": bool, "device": str, "host": str, "platform": str},
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


def damage(record: Record, path: str | Path) -> str:
    """Return a sentence about a record that was edited or damaged after it was written; empty if it is whole."""
    if intact(record) is not False:
        return ""
    return f"the record {path} was edited or damaged: it does not match its checksum; {REMEDY}"


def set_aside(path: Path) -> Path:
    """Rename the record of a run on other data, so that it no longer counts as a record; return its new path.

    Raises:
        FileNotFoundError: when another launcher has done it.
    """
    record = path.read_bytes()
    fingerprint = re.sub(r"\W", "_", str(read(path).dataset["fingerprint"])[:8])  # part of a file name
    names = (f".{fingerprint}{number}.superseded" for number in chain([""], (f"-{at}" for at in count(2))))
    kept = next(one for one in map(path.with_suffix, names) if not one.exists() or one.read_bytes() == record)
    os.replace(path, kept)
    return kept


def read(path: Path, *, history: bool = True) -> Record:
    """Read the record in a file.

    Args:
        history: False skips the history, which is several times faster for a record of many epochs.

    Raises:
        SpecError: when the file is not a record, or has a newer schema than this version.
    """
    try:
        reason = refusal(path, LARGEST)
        data = b"" if reason else path.read_bytes()
        content = None if reason else orjson.loads(data if history else _without_history(data))
    except OSError as error:
        reason = error.strerror or str(error)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    if reason:
        raise SpecError(f"cannot read the record {path}: {reason}; {REMEDY}")
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
        raise SpecError(f"the record {path} lacks {', '.join(missing)}; {REMEDY}")
    if odd := list(_odd(content)):
        raise SpecError(f"the record {path} is damaged: {'; '.join(odd)}; {REMEDY}")
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
            yield from (f"{part}.{name}" for name, kind in names.items() if not is_of(values.get(name), kind))


def _odd(content: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the values that a record need not have."""
    for part, names in OPTIONAL.items():
        for name, kind in names.items():
            value = content[part].get(name)
            if value is not None and not is_of(value, kind):
                yield f"{part}.{name} must be {NAMES[kind]}, got {shown(value)}"
    broken = content["dataset"].get("broken")
    if broken and not (is_of(broken.get("count"), int) and is_of(broken.get("names"), list)):
        yield f"dataset.broken must have a count and names, got {shown(broken)}"
    if not all(isinstance(entry, dict) and is_of(entry.get("epoch"), int) for entry in content["history"]):
        yield "history must have an object with an epoch for each epoch"


def index(results: Path) -> dict[str, Path]:
    """Return the path of every record under a folder, by key; the first of several, which `rows.read` names."""
    found: dict[str, Path] = {}
    for path in map(Path, listing(results).records):
        found.setdefault(path.stem, path)
    return found


def read_all(results: Path) -> list[Record]:
    """Return every record under a folder, sorted by path."""
    return [read(path) for path in index(results).values()]
