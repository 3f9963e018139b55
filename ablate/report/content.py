"""The content of a report, gathered from a study and its records: plain values, no markup."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ablate.dispatch.evidence import Evidence, of_study
from ablate.measure import frames as speed_frames
from ablate.measure import record as speed_record
from ablate.measure.frames import Measured
from ablate.measure.subjects import of_study as of_study_speeds
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
    """The records, read once.

    Args:
        found: the records without their histories, which are the largest part of a record.
        curves: the histories, as a frame.
        digests: the checksums of the whole records, by key.
    """

    found: list[Record]
    curves: pd.DataFrame
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Content:
    """A study at a scale with its records; every list is in the study's order.

    Args:
        folder: the report's folder, which links are relative to.
        seeds: the first N seeds; None is the study's number.
        models: whether to compare the models with the control's; if the cache lacks an architecture, torch is imported.
        given: the state of `runs/` when the report was written; None reads the current state.
    """

    study: Study
    scale: str
    root: Root
    folder: Path
    seeds: int | None = None
    models: bool = True
    given: Local | None = field(default=None, repr=False)

    @cached_property
    def evidence(self) -> Evidence:
        """Return the records of the study's runs, with what is wrong with some of them."""
        return of_study(self.study, self.scale, self.root.results, self.seeds)

    @cached_property
    def _read(self) -> Read:
        whole = study_records(self.study, self.scale, self.root.results, self.seeds, self.evidence)
        digests = {record.key: records.checksum(record) for record in sorted(whole, key=lambda record: record.key)}
        found = [replace(record, history=[]) for record in whole]
        return Read(found, curves(self.study, self.scale, whole), digests)

    @property
    def found(self) -> list[Record]:
        """Return the records of the study's runs, without their histories."""
        return self._read.found

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Return the frame of the records."""
        return study_frame(self.study, self.scale, self.found)

    @property
    def curves(self) -> pd.DataFrame:
        """Return the training curves of the records."""
        return self._read.curves

    @property
    def digests(self) -> Mapping[str, str]:
        """Return the current checksum of every record, by key."""
        return self._read.digests

    @cached_property
    def speed(self) -> pd.DataFrame:
        """Return the speed measurements, one row each; see `ablate.report.plots`."""
        return speed_frames.tidy(self.speeds, self.variants)

    @cached_property
    def speeds(self) -> list[Measured]:
        """Return the speed measurements of the study's architectures."""
        return speed_frames.of_study(self.root.results, self.study, self.scale)

    @cached_property
    def damaged_speeds(self) -> list[str]:
        """Return a sentence about every speed measurement of the study's architectures that is edited or damaged."""
        keys = {subject.key for subject in of_study_speeds(self.study, self.scale)}
        found = speed_record.damage(self.root.results)
        return [sentence for path, sentence in found.items() if Path(path).name.partition("-")[0] in keys]

    @cached_property
    def seed_count(self) -> int:
        """Return the number of seeds that each variant should have."""
        return self.study.seed_count(self.scale, self.seeds)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Return one row per variant."""
        return summarise(self.runs, self.seed_count, self.study.variants(self.scale))

    @cached_property
    def verdicts(self) -> list[tuple[Verdict, list[str]]]:
        """Return a verdict on each claim, with the variants in it."""
        judged = judge(self.study, self.scale, self.runs, self.root.results)
        return [(verdict, self._variants_in(verdict)) for verdict in judged]

    def _variants_in(self, verdict: Verdict) -> list[str]:
        labels = [self.study.variant(quantity, self.scale).label for quantity in verdict.claim.quantities()]
        return list(dict.fromkeys(labels))

    @cached_property
    def local(self) -> Local:
        """Return the errors and logs under `runs/`: as given, otherwise the current ones."""
        return Local.read(self.root, sorted(run.key for run in self._wanted)) if self.given is None else self.given

    @cached_property
    def _wanted(self) -> set[Run]:
        """Return every run that the study requests or that has a record."""
        return {*self.study.runs(self.scale, self.seeds), *(record.as_run() for record in self.found)}

    @cached_property
    def rows(self) -> list[Row]:
        """Return these runs, by variant and seed."""
        paths = {key: Path(path) for key, path in self.evidence.rows.paths.items()}
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
        """Return a relative link to a file, which is valid wherever the root is."""
        return quote(Path(os.path.relpath(path, self.folder)).as_posix())

    @cached_property
    def measured(self) -> list[Row]:
        """Return the runs that have a record."""
        return [row for row in self.rows if row.record is not None]

    @cached_property
    def unmeasured(self) -> list[Row]:
        """Return the runs that have no record."""
        return [row for row in self.rows if row.record is None]

    @cached_property
    def variants(self) -> list[str]:
        """Return the labels of the variants, the control first."""
        return [variant.label for variant in self.study.variants(self.scale)]

    @cached_property
    def differing(self) -> list[tuple[str, Mapping[str, tuple[Any, Any]]]]:
        """Return the fields in which each variant differs from the control, with both values."""
        control, *_ = variants = self.study.variants(self.scale)
        return [(variant.label, differences(control.run, variant.run)) for variant in variants]

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Return each model compared with the control's, for the channels and classes of the recorded dataset."""
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
        """Return each variant compared with the control, over seeds."""
        return contrasts.over_seeds(self.runs)

    @cached_property
    def over_images(self) -> pd.DataFrame:
        """Return each trained model compared with the control's of the same seed, image by image."""
        found = [(row.variant, row.record) for row in self.measured if row.record is not None]
        return contrasts.over_images(found, self.variants[0])

    @cached_property
    def fixed(self) -> list[tuple[str, Any, str]]:
        """Return the fields that all variants share, each with its value and meaning."""
        runs = [variant.run.to_dict() for variant in self.study.variants(self.scale)]
        same = [item for item in fields(Run) if item.name != "seed" and len({run[item.name] for run in runs}) == 1]
        return [(item.name, runs[0][item.name], item.metadata["meaning"]) for item in same]

    @cached_property
    def datasets(self) -> Mapping[str, list[Fact]]:
        """Return facts about each dataset in the records."""
        return facts.datasets(self.measured)

    @cached_property
    def environment(self) -> list[Fact]:
        """Return facts about the environment of the runs."""
        return facts.environment(self.measured)

    @cached_property
    def commit(self) -> str | None:
        """Return the commit of all runs; None if there is no single clean one."""
        found = {(record.provenance.get("commit"), record.provenance.get("dirty")) for record in self.found}
        commit, dirty = found.pop() if len(found) == 1 else (None, None)
        return None if dirty else commit

    @cached_property
    def dates(self) -> list[str]:
        """Return the first and the last day on which a run finished; one if they are equal."""
        days = sorted(str(r.provenance["finished"])[:10] for r in self.found if "finished" in r.provenance)
        return list(dict.fromkeys(days[:1] + days[-1:]))

    @cached_property
    def manifest(self) -> Manifest:
        """Return what the report is made from."""
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
