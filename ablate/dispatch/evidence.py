"""Which runs have a result: the one definition, for the states of runs and for all that is made from records.

A run is done when its record is whole, and of the present data where these are available. A record that was edited or
damaged is named by everything that needs it, and is never trained again or set aside by itself. A record of other data
does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ablate.dispatch.data import fingerprint
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store import rows
from ablate.store.records import REMEDY
from ablate.store.rows import Rows
from ablate.study.study import Study, Variant

SHARED = [item.name for item in fields(Run) if item.name != "seed"]  # the runs of one variant share these fields


@dataclass(frozen=True)
class Evidence:
    """The records of some runs.

    Args:
        rows: all records.
        places: the row of every usable record, by key: of those that are done, and of edited ones.
        damaged: a sentence about every record that was edited or damaged, by key.
        other_data: the file of every record of other data, by key.
    """

    rows: Rows
    places: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    other_data: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> set[str]:
        """Return the keys of the runs that are done."""
        return self.places.keys() - self.damaged.keys()


def of_study(study: Study, scale: str | None, results: Path, seeds: int | None = None) -> Evidence:
    """Return the records of a study's own runs, with what is wrong with some of them."""
    runs = [(variant.run, range(study.seed_count(scale, seeds))) for variant in trained(study, scale)]
    return gather(rows.read(results), runs, fingerprints(run.dataset for run, _ in runs))


def trained(study: Study, scale: str | None) -> list[Variant]:
    """Return the variants that have runs: none if the study is benchmark-only, though other studies may train them."""
    return [] if study.benchmark_only else study.variants(scale)


def gather(every: Rows, runs: Iterable[tuple[Run, Iterable[int]]], present: Mapping[str, str | None]) -> Evidence:
    """Return the records of runs.

    Args:
        every: all records, from `ablate.store.rows.read`.
        runs: each with its seeds; its own seed does not count.
        present: the fingerprint of every dataset, from `fingerprints`.
    """
    found = Evidence(every)
    numbers = {key: at for at, key in enumerate(found.rows.columns.get("key", ()))}
    for run, seeds in runs:
        listed = list(seeds)
        values = run.to_dict()
        shared = [(found.rows.columns.get(name, ()), values[name]) for name in SHARED]
        for key, seed in zip(run.keys(listed), listed, strict=True):
            at = numbers.get(key)
            if at is None:
                if key in found.rows.damage:
                    found.damaged[key] = found.rows.damage[key]
            elif found.rows.columns["seed"][at] != seed or any(column[at] != value for column, value in shared):
                path = found.rows.paths[key]
                found.damaged[key] = found.rows.damage.get(key) or _of_another_run(path, key)
            else:
                _add(found, key, at, present[run.dataset])
    return found


def _add(found: Evidence, key: str, at: int, present: str | None) -> None:
    """Add the usable record of a run; its fingerprint counts only if the record is whole."""
    damage = found.rows.damage.get(key)
    same_data = present is None or found.rows.columns["fingerprint"][at] == present
    if damage:
        found.damaged[key] = damage
    if same_data:
        found.places[key] = at
    elif not damage:
        found.other_data[key] = found.rows.paths[key]


def _of_another_run(path: str, key: str) -> str:
    return f"the record {path} was edited or damaged: its fields are not those of run {key}; {REMEDY}"


def fingerprints(datasets: Iterable[str], data: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return the present fingerprint of datasets; None where they are not available or not valid."""
    return {name: _fingerprint(name, data or {}) for name in set(datasets)}


def _fingerprint(name: str, data: Mapping[str, str]) -> str | None:
    try:
        return fingerprint(name, data)
    except (SpecError, OSError):
        return None  # what is wrong with the data is told before training
