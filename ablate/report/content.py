"""What a report says, gathered from a study and its records: plain values, no markup."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ablate.measure import frames as speed_frames
from ablate.measure.frames import Measured
from ablate.model.cost import inputs
from ablate.report import facts, speeds
from ablate.report.facts import Fact, Row
from ablate.report.manifest import LOG, Local, Manifest, digests, versions
from ablate.results import contrasts
from ablate.results.table import curves, study_frame, study_records, summarise
from ablate.results.verdict import Verdict, judge
from ablate.spec.run import Run, differences
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.compare import Comparison, compare
from ablate.study.study import Study


@dataclass(frozen=True)
class Read:
    """What was read of the records, once.

    Args:
        found: the records without their histories, which are most of a record.
        curves: the histories, as a frame.
        digests: of the whole records, by key.
    """

    found: list[Record]
    curves: pd.DataFrame
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Content:
    """A study at a scale with its records; every list is in the study's order.

    Args:
        folder: where the report is written, which links are relative to.
        seeds: only the first so many; None is all there are.
        models: whether to hold the models against the control's, for which torch is imported where the architecture
            cache lacks one.
        given: what lay beside the records when the report was first written; None looks for it.
    """

    study: Study
    scale: str
    root: Root
    folder: Path
    seeds: int | None = None
    models: bool = True
    given: Local | None = field(default=None, repr=False)

    @cached_property
    def _read(self) -> Read:
        whole = study_records(self.study, self.scale, self.root.results, self.seeds)
        digests = {record.key: records.checksum(record) for record in sorted(whole, key=lambda record: record.key)}
        found = [replace(record, history=[]) for record in whole]
        return Read(found, curves(self.study, self.scale, whole), digests)

    @property
    def found(self) -> list[Record]:
        """The records of the study's runs, without their histories."""
        return self._read.found

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The frame of the records."""
        return study_frame(self.study, self.scale, self.found)

    @property
    def curves(self) -> pd.DataFrame:
        """The training curves of the records."""
        return self._read.curves

    @property
    def digests(self) -> Mapping[str, str]:
        """The checksum of every record as it is now, by key."""
        return self._read.digests

    @cached_property
    def speed(self) -> pd.DataFrame:
        """The measurements of speed, a row each; see `ablate.report.plots`."""
        return speed_frames.tidy(self.speeds, self.variants)

    @cached_property
    def speeds(self) -> list[Measured]:
        """The measurements of speed of the study's architectures."""
        return speed_frames.of_study(self.root.results, self.study, self.scale)

    @cached_property
    def seed_count(self) -> int:
        """The seeds each variant should have."""
        return self.study.seed_count(self.scale, self.seeds)

    @cached_property
    def seeds_each(self) -> str:
        """The seeds a variant has or lacks, such as "3"; "3 to 4" where other studies gave some of them more."""
        counts = Counter(row.variant for row in self.rows).values()
        return " to ".join(str(n) for n in sorted({min(counts), max(counts)}))

    @cached_property
    def most_seeds(self) -> int:
        """The seeds to ask for, to have every run that is shown."""
        return max(Counter(row.variant for row in self.rows).values())

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row a variant."""
        return summarise(self.runs, self.seed_count, self.study.variants(self.scale))

    @cached_property
    def verdicts(self) -> list[tuple[Verdict, list[str]]]:
        """Each claim judged, with the variants it speaks of."""
        judged = judge(self.study, self.scale, self.runs, self.root.results)
        return [(verdict, self._spoken_of(verdict)) for verdict in judged]

    def _spoken_of(self, verdict: Verdict) -> list[str]:
        labels = [self.study.variant(quantity, self.scale).label for quantity in verdict.claim.quantities()]
        return list(dict.fromkeys(labels))

    @cached_property
    def local(self) -> Local:
        """Errors and logs under `runs/`: as given, else as they are now."""
        return Local.look(self.root, sorted(run.key for run in self._wanted)) if self.given is None else self.given

    @cached_property
    def _wanted(self) -> set[Run]:
        """Every run that is wanted or has a record."""
        return {*self.study.runs(self.scale, self.seeds), *(record.as_run() for record in self.found)}

    @cached_property
    def rows(self) -> list[Row]:
        """Those runs, by variant and seed."""
        paths = records.index(self.root.results)
        recorded = {record.key: record for record in self.found}
        order = {variant.run: (at, variant.label) for at, variant in enumerate(self.study.variants(self.scale))}
        places = sorted((*order[run.replace(seed=0)], run.seed, run.key, run) for run in self._wanted)
        return [self._row(label, run, recorded.get(key), paths.get(key)) for _, label, _, key, run in places]

    def _row(self, label: str, run: Run, record: Record | None, path: Path | None) -> Row:
        link = self.link(path) if record is not None and path is not None else ""
        log = self.link(self.root.run_folder(run.key) / LOG) if run.key in self.local.logs else ""
        error = "" if record is not None else self.local.failures.get(run.key, "")
        return Row(label, run, record, link, log, error)

    def link(self, path: Path) -> str:
        """An address of a file that holds wherever the root lies."""
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
    def differing(self) -> list[tuple[str, Mapping[str, tuple[Any, Any]]]]:
        """The fields in which each variant differs from the control, with both values."""
        control, *_ = variants = self.study.variants(self.scale)
        return [(variant.label, differences(control.run, variant.run)) for variant in variants]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Each variant's model held against the control's, for the channels and classes of the records' data."""
        if not self.models:
            return []
        sizes = {variant.run.dataset: inputs(variant.run.dataset) for variant in self.study.variants(self.scale)}
        for record in self.found:
            channels, classes = record.dataset.get("channels"), record.dataset.get("classes")
            if channels and classes:
                sizes[record.run["dataset"]] = channels, len(classes)
        return compare(self.study, self.scale, self.root, sizes=sizes)

    @cached_property
    def over_seeds(self) -> pd.DataFrame:
        """Each variant against the control, over seeds."""
        return contrasts.over_seeds(self.runs)

    @cached_property
    def over_images(self) -> pd.DataFrame:
        """Each trained model against the control's of its seed, picture by picture."""
        found = [(row.variant, row.record) for row in self.measured if row.record is not None]
        return contrasts.over_images(found, self.variants[0])

    @cached_property
    def fixed(self) -> list[tuple[str, Any, str]]:
        """The fields every variant shares, each with its value and meaning."""
        runs = [variant.run.to_dict() for variant in self.study.variants(self.scale)]
        same = [item for item in fields(Run) if item.name != "seed" and len({run[item.name] for run in runs}) == 1]
        return [(item.name, runs[0][item.name], item.metadata["meaning"]) for item in same]

    @cached_property
    def datasets(self) -> Mapping[str, list[Fact]]:
        """The facts of each data set the records tell of."""
        return facts.datasets(self.measured)

    @cached_property
    def environment(self) -> list[Fact]:
        """What the runs were made with."""
        return facts.environment(self.measured)

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

    @cached_property
    def manifest(self) -> Manifest:
        """What the report is made from."""
        return Manifest(
            study=self.study.source or self.study.name,
            scale=self.scale,
            seeds=self.seeds,
            models=self.models,
            records=self.digests,
            speeds=digests([speeds.path_of(self.root.results, one) for one in self.speeds], self.root.results),
            failures=self.local.failures,
            logs=self.local.logs,
            drawn_with=versions(),
        )
