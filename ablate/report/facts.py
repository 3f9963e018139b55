"""What all runs of a study should share, from their records: dataset, device, versions, settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.spec.run import Run
from ablate.store.records import Record

PARTS = {"training images": "n_train", "held-out images": "n_heldout", "test images": "n_test"}
# Settings of a run that may change its last bits or its speed; where it ran and what it kept change neither.
SETTINGS = ("device", "workers", "micro_batch", "compile", "channels_last", "deterministic", "gpus_per_run", "nodes")


@dataclass(frozen=True)
class Row:
    """One run, with or without a record.

    Args:
        link: to its record; empty if there is none.
        log: link to its log; empty if there is none.
        error: the error of a failed run.
    """

    variant: str
    run: Run
    record: Record | None
    link: str
    log: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        """Return its name."""
        return f"{self.variant}, seed {self.run.seed}"

    @property
    def replaced(self) -> int:
        """Return how many images could not be read and were replaced by grey ones."""
        broken = self.record.dataset.get("broken") if self.record is not None else None
        return int(broken["count"]) if broken else 0


@dataclass(frozen=True)
class Fact:
    """One property of the records: each of its values, with the runs that have it."""

    name: str
    values: Mapping[str, Sequence[Row]]

    @property
    def mixed(self) -> bool:
        """Return whether the runs differ in it."""
        return len(self.values) > 1

    @property
    def odd(self) -> list[tuple[str, Sequence[Row]]]:
        """Return every value except the most frequent one, with its runs."""
        return list(self.values.items())[1:]


def datasets(rows: Sequence[Row]) -> dict[str, list[Fact]]:
    """Return the facts about each dataset, from the records."""
    names = dict.fromkeys(row.run.dataset for row in rows)
    return {name: _dataset([row for row in rows if row.run.dataset == name]) for name in names}


def _dataset(rows: Sequence[Row]) -> list[Fact]:
    facts = [
        _fact("fingerprint", rows, _value_at("dataset", "fingerprint")),
        *(_fact(name, rows, _value_at("dataset", key)) for name, key in PARTS.items()),
        _fact("classes", rows, lambda record: len(record.dataset.get("classes", ())) or None),
        _fact("channels", rows, _value_at("dataset", "channels")),
        _fact("replaced images", rows, _replaced),
    ]
    return [fact for fact in facts if fact.values]


def environment(rows: Sequence[Row]) -> list[Fact]:
    """Return facts about the environment; settings that may change results or speed only if the runs differ in them."""
    found = [row.record for row in rows if row.record is not None]
    packages = dict.fromkeys(name for record in found for name in record.provenance["versions"])
    facts = [
        _fact("source", rows, _source),
        _fact("device", rows, _value_at("provenance", "device")),
        _fact("CPU threads", rows, _value_at("provenance", "resources", "threads")),
        _fact("processes", rows, _value_at("provenance", "processes")),
        _fact("arithmetic", rows, _arithmetic),
        _fact("platform", rows, _value_at("provenance", "platform")),
        *(_fact(name, rows, _value_at("provenance", "versions", name)) for name in packages),
    ]
    more = [_fact(name, rows, _value_at("provenance", "resources", name)) for name in SETTINGS]
    return [fact for fact in facts if fact.values] + [fact for fact in more if fact.mixed]


def _fact(name: str, rows: Iterable[Row], of: Callable[[Record], Any]) -> Fact:
    """Return a property of the records with its values, the most frequent first."""
    found = [(str(value), row) for row in rows if row.record is not None and (value := of(row.record)) is not None]
    number = Counter(value for value, _ in found)
    values: dict[str, list[Row]] = {value: [] for value in sorted(number, key=lambda value: (-number[value], value))}
    for value, row in found:
        values[value].append(row)
    return Fact(name, values)


def _value_at(part: str, *keys: str) -> Callable[[Record], Any]:
    """Return a function that reads a nested value of a record; None if it is missing."""

    def of(record: Record) -> Any:
        value = getattr(record, part)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    return of


def _arithmetic(record: Record) -> str | None:
    found = record.provenance.get("arithmetic")
    return ", ".join(f"{name} {value}" for name, value in found.items()) if isinstance(found, Mapping) else None


def _replaced(record: Record) -> str | None:
    """Return how many images could not be decoded, and the names of some; None if there were none."""
    broken = record.dataset.get("broken")
    return f"{broken['count']}, replaced by grey: {', '.join(broken['names'])}" if broken else None


def _source(record: Record) -> str:
    commit = record.provenance.get("commit")
    if commit is None:
        return "no commit: run outside a git checkout, or git could not read it"
    return f"commit {commit[:10]}" + (", with uncommitted changes" if record.provenance.get("dirty") else "")
