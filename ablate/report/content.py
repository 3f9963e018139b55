"""What a report says, gathered from a study and its records: plain values, no markup."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ablate import records
from ablate.formats import units
from ablate.notes import failure_of
from ablate.paths import Root
from ablate.records import Record
from ablate.spec import Run, differences
from ablate.study import Study
from ablate.table import curves, study_frame, study_records, summarise
from ablate.verdict import Verdict, judge


@dataclass(frozen=True)
class Row:
    """One run, measured or not; `error` says why a failed one has no record."""

    variant: str
    run: Run
    record: Record | None
    link: str
    error: str = ""

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.variant}, seed {self.run.seed}"


@dataclass(frozen=True)
class Fact:
    """Something all records tell, with every value it has and the runs that have it; mixed where there are several."""

    name: str
    values: Mapping[str, Sequence[Row]]

    @property
    def mixed(self) -> bool:
        """Whether the runs differ in it."""
        return len(self.values) > 1


@dataclass(frozen=True)
class Change:
    """What a variant changes against the control: fields with both values, parameters and MACs."""

    variant: str
    fields: Mapping[str, tuple[Any, Any]]
    params: str
    macs: str


@dataclass(frozen=True)
class Content:
    """A study at a scale with its records; every list is in the study's order.

    Args:
        folder: where the report is written, which links are relative to.
    """

    study: Study
    scale: str
    root: Root
    folder: Path
    seeds: int | None = None

    @cached_property
    def found(self) -> list[Record]:
        """The records of the study's runs."""
        return study_records(self.study, self.scale, self.root.results, self.seeds)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The frame of the records."""
        return study_frame(self.study, self.scale, self.found)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The training curves of the records."""
        return curves(self.study, self.scale, self.found)

    @cached_property
    def seed_count(self) -> int:
        """The seeds each variant should have."""
        return self.study.seed_count(self.scale, self.seeds)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a variant."""
        return summarise(self.runs, self.seed_count)

    @cached_property
    def verdicts(self) -> list[tuple[Verdict, list[str]]]:
        """Each claim judged, with the variants it speaks of."""
        judged = judge(self.study, self.scale, self.runs)
        return [(verdict, self._spoken_of(verdict)) for verdict in judged]

    def _spoken_of(self, verdict: Verdict) -> list[str]:
        labels = [self.study.variant(quantity, self.scale).label for quantity in verdict.claim.quantities()]
        return list(dict.fromkeys(labels))

    @cached_property
    def rows(self) -> list[Row]:
        """Every run that is wanted or has a record, by variant and seed."""
        paths = records.index(self.root.results)
        recorded = {record.as_run(): record for record in self.found}
        wanted = {*self.study.runs(self.scale, self.seeds), *recorded}
        order = {variant.run: (at, variant.label) for at, variant in enumerate(self.study.variants(self.scale))}
        ordered = sorted(wanted, key=lambda run: (order[run.but(seed=0)][0], run.seed))
        return [self._row(order[run.but(seed=0)][1], run, recorded.get(run), paths) for run in ordered]

    def _row(self, label: str, run: Run, record: Record | None, paths: Mapping[str, Path]) -> Row:
        if record is not None:
            return Row(label, run, record, self._link(paths[record.key]))
        failure = failure_of(self.root.run_folder(run.key)) or {}
        error = str(failure.get("error", "")).replace(str(self.root.path), ".")
        return Row(label, run, None, "", error)

    def _link(self, path: Path) -> str:
        return quote(Path(os.path.relpath(path, self.folder)).as_posix())

    @cached_property
    def measured(self) -> list[Row]:
        """The runs that have a record."""
        return [row for row in self.rows if row.record is not None]

    @cached_property
    def unmeasured(self) -> list[Row]:
        """The runs that have none."""
        return [row for row in self.rows if row.record is None]

    @cached_property
    def variants(self) -> list[str]:
        """The variants' labels, the control's first."""
        return [variant.label for variant in self.study.variants(self.scale)]

    @cached_property
    def changes(self) -> list[Change]:
        """What each variant changes; nothing for the control."""
        control, *_ = variants = self.study.variants(self.scale)
        sizes = self.summary.set_index("variant")[["params", "macs"]].astype(float).to_dict("index")
        return [
            Change(
                variant.label,
                differences(control.run, variant.run),
                *(_size(sizes[variant.label][name], sizes[control.label][name]) for name in ("params", "macs")),
            )
            for variant in variants
        ]

    @cached_property
    def fixed(self) -> list[tuple[str, Any, str]]:
        """The fields every variant shares, each with its value and meaning."""
        runs = [variant.run.fields() for variant in self.study.variants(self.scale)]
        same = [item for item in fields(Run) if item.name != "seed" and len({run[item.name] for run in runs}) == 1]
        return [(item.name, runs[0][item.name], item.metadata["meaning"]) for item in same]

    @cached_property
    def datasets(self) -> dict[str, list[Fact]]:
        """The facts of each data set the records tell of."""
        names = dict.fromkeys(row.run.dataset for row in self.measured)
        return {name: self._dataset([row for row in self.measured if row.run.dataset == name]) for name in names}

    def _dataset(self, rows: list[Row]) -> list[Fact]:
        parts = {"training images": "n_train", "held-out images": "n_heldout", "test images": "n_test"}
        return [
            _fact("fingerprint", rows, _told("dataset", "fingerprint")),
            *(_fact(name, rows, _told("dataset", key)) for name, key in parts.items()),
            _fact("classes", rows, lambda record: len(record.dataset["classes"])),
            _fact("channels", rows, _told("dataset", "channels")),
            *([broken] if (broken := _fact("replaced images", rows, _replaced)).values else []),
        ]

    @cached_property
    def environment(self) -> list[Fact]:
        """What the runs were made with."""
        packages = dict.fromkeys(name for record in self.found for name in record.provenance["versions"])
        facts = [
            _fact("source", self.measured, _source),
            _fact("device", self.measured, _told("provenance", "device")),
            _fact("CPU threads", self.measured, _told("provenance", "resources", "threads")),
            _fact("platform", self.measured, _told("provenance", "platform")),
            *(_fact(name, self.measured, _told("provenance", "versions", name)) for name in packages),
        ]
        return [fact for fact in facts if fact.values]

    @cached_property
    def mixed(self) -> list[str]:
        """The names of what the runs should share and do not."""
        facts = [fact for facts in (self.environment, *self.datasets.values()) for fact in facts]
        return [fact.name for fact in facts if fact.mixed]

    @cached_property
    def commit(self) -> str | None:
        """The commit all runs were made from, None where there is no single clean one."""
        found = {(record.provenance.get("commit"), record.provenance.get("dirty")) for record in self.found}
        commit, dirty = found.pop() if len(found) == 1 else (None, None)
        return None if dirty else commit

    @cached_property
    def dates(self) -> list[str]:
        """The first and the last day a run finished on; one where they are the same."""
        days = sorted(str(r.provenance["finished"])[:10] for r in self.found if "finished" in r.provenance)
        return list(dict.fromkeys(days[:1] + days[-1:]))


def _size(value: float, control: float) -> str:
    """A number in full, and how far it is from the control's."""
    if units.missing(value) or units.missing(control) or value == control:
        return units.exact(value)
    return f"{units.exact(value)} ({units.signed(value - control)}, {units.signed(100 * (value / control - 1), 1)} %)"


def _fact(name: str, rows: Iterable[Row], of: Callable[[Record], Any]) -> Fact:
    """The values of something in the records, the most frequent first."""
    told = [(str(value), row) for row in rows if row.record is not None and (value := of(row.record)) is not None]
    number = Counter(value for value, _ in told)
    values = sorted(number, key=lambda value: (-number[value], value))
    return Fact(name, {value: [row for other, row in told if other == value] for value in values})


def _told(part: str, *keys: str) -> Callable[[Record], Any]:
    """What a record says under some keys of one of its parts; None where it says nothing."""

    def of(record: Record) -> Any:
        value = getattr(record, part)
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    return of


def _replaced(record: Record) -> str | None:
    """How many pictures could not be decoded, and the names of some; None where there were none."""
    broken = record.dataset.get("broken")
    return f"{broken['count']}, grey instead: {', '.join(broken['names'])}" if broken else None


def _source(record: Record) -> str:
    commit = record.provenance.get("commit")
    if commit is None:
        return "no commit: run from outside a checkout"
    return f"commit {commit[:10]}" + (", with uncommitted changes" if record.provenance.get("dirty") else "")
