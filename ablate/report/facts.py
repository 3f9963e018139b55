"""What all runs of a study should share, as their records tell it: data, device, versions, settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.spec.run import Run
from ablate.store.records import Record

PARTS = {"training images": "n_train", "held-out images": "n_heldout", "test images": "n_test"}


@dataclass(frozen=True)
class Row:
    """One run, measured or not.

    Args:
        link: to its record; empty where there is none.
        log: link to its log; empty where there is none.
        error: why a failed one has no record.
    """

    variant: str
    run: Run
    record: Record | None
    link: str
    log: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.variant}, seed {self.run.seed}"

    @property
    def replaced(self) -> int:
        """How many pictures could not be read and were grey instead."""
        broken = self.record.dataset.get("broken") if self.record is not None else None
        return int(broken["count"]) if broken else 0


@dataclass(frozen=True)
class Fact:
    """Something all records tell, with every value it has and the runs that have it; mixed where there are several."""

    name: str
    values: Mapping[str, Sequence[Row]]

    @property
    def mixed(self) -> bool:
        """Whether the runs differ in it."""
        return len(self.values) > 1

    @property
    def odd(self) -> list[tuple[str, Sequence[Row]]]:
        """Every value but the most frequent, with its runs."""
        return list(self.values.items())[1:]


def datasets(rows: Sequence[Row]) -> dict[str, list[Fact]]:
    """The facts of each data set that measured runs tell of."""
    names = dict.fromkeys(row.run.dataset for row in rows)
    return {name: _dataset([row for row in rows if row.run.dataset == name]) for name in names}


def _dataset(rows: Sequence[Row]) -> list[Fact]:
    facts = [
        _fact("fingerprint", rows, _told("dataset", "fingerprint")),
        *(_fact(name, rows, _told("dataset", key)) for name, key in PARTS.items()),
        _fact("classes", rows, lambda record: len(record.dataset.get("classes", ())) or None),
        _fact("channels", rows, _told("dataset", "channels")),
        _fact("replaced images", rows, _replaced),
    ]
    return [fact for fact in facts if fact.values]


def environment(rows: Sequence[Row]) -> list[Fact]:
    """What measured runs were made with; a setting that must not change the result only where the runs differ in it."""
    found = [row.record for row in rows if row.record is not None]
    packages = dict.fromkeys(name for record in found for name in record.provenance["versions"])
    settings = dict.fromkeys(name for record in found for name in record.provenance["resources"])
    facts = [
        _fact("source", rows, _source),
        _fact("device", rows, _told("provenance", "device")),
        _fact("CPU threads", rows, _told("provenance", "resources", "threads")),
        _fact("processes", rows, _told("provenance", "processes")),
        _fact("arithmetic", rows, _arithmetic),
        _fact("platform", rows, _told("provenance", "platform")),
        *(_fact(name, rows, _told("provenance", "versions", name)) for name in packages),
    ]
    more = [_fact(name, rows, _told("provenance", "resources", name)) for name in settings if name != "threads"]
    return [fact for fact in facts if fact.values] + [fact for fact in more if fact.mixed]


def _fact(name: str, rows: Iterable[Row], of: Callable[[Record], Any]) -> Fact:
    """The values of something in the records, the most frequent first."""
    told = [(str(value), row) for row in rows if row.record is not None and (value := of(row.record)) is not None]
    number = Counter(value for value, _ in told)
    values: dict[str, list[Row]] = {value: [] for value in sorted(number, key=lambda value: (-number[value], value))}
    for value, row in told:
        values[value].append(row)
    return Fact(name, values)


def _told(part: str, *keys: str) -> Callable[[Record], Any]:
    """What a record says under some keys of one of its parts; None where it says nothing."""

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
    """How many pictures could not be decoded, and the names of some; None where there were none."""
    broken = record.dataset.get("broken")
    return f"{broken['count']}, grey instead: {', '.join(broken['names'])}" if broken else None


def _source(record: Record) -> str:
    commit = record.provenance.get("commit")
    if commit is None:
        return "no commit: run from outside a checkout"
    return f"commit {commit[:10]}" + (", with uncommitted changes" if record.provenance.get("dirty") else "")
