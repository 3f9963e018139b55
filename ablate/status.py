"""What became of each run, derived from disk: its record, its lease, its failure note. Nothing else remembers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from ablate import lease, records
from ablate.datasets import locate, source
from ablate.notes import failure_of
from ablate.paths import Root
from ablate.spec import DATASETS, Run

State = Literal["done", "running", "failed", "waiting"]


@dataclass(frozen=True)
class RunStatus:
    """One run's state; `progress` is what a running one last said, `worker` whose lease on it is not released."""

    run: Run
    state: State
    worker: str = ""
    error: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Survey:
    """The state of a list of runs, looked at again and again; records once seen are not read again.

    Args:
        root: where results and work in progress lie.
        runs: the runs to look at.
        data: where data sets lie, by name, to compare fingerprints with the records'.
    """

    def __init__(self, root: Root, runs: Sequence[Run], data: Mapping[str, str] | None = None) -> None:
        self.root, self.runs = root, list(runs)
        self._fingerprints = {name: fingerprint(name, data or {}) for name in {run.dataset for run in runs}}
        self._done: dict[str, RunStatus] = {}
        self.stale: dict[str, Path] = {}
        self._read_records()

    def _read_records(self) -> None:
        found = records.index(self.root.results)
        for run in self.runs:
            if run.key in found:
                record = records.read(found[run.key])
                if record.answers(run, self._fingerprints[run.dataset]):
                    self._done[run.key] = _done(run, record)
                else:
                    self.stale[run.key] = found[run.key]

    def look(self) -> list[RunStatus]:
        """The state of every run, in the order given."""
        return [self._look_at(run) for run in self.runs]

    def _look_at(self, run: Run) -> RunStatus:
        path = records.path_of(self.root.results, run)
        if run.key not in self._done and run.key not in self.stale and path.exists():
            self._done[run.key] = _done(run, records.read(path))
        return self._done.get(run.key) or unfinished(self.root.run_folder(run.key), run)


def _done(run: Run, record: records.Record) -> RunStatus:
    return RunStatus(run, "done", metrics={k: v for k, v in record.metrics.items() if k != "correct"} | record.cost)


def unfinished(folder: Path, run: Run) -> RunStatus:
    """The state of a run without a record."""
    held = lease.current(folder)
    owner = held.owner if held else None
    worker = owner.worker if owner and not owner.released else ""
    if held is not None and held.alive:
        return RunStatus(run, "running", worker, progress=_progress(folder))
    if failure := failure_of(folder):
        return RunStatus(run, "failed", worker, error=str(failure["error"]))
    return RunStatus(run, "waiting", worker)


def _progress(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = orjson.loads((folder / "progress.json").read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return content


def fingerprint(dataset: str, data: Mapping[str, str]) -> str | None:
    """The fingerprint of the data at hand; None where a data set is not at hand."""
    if dataset not in DATASETS and locate(dataset, data) is None:
        return None
    module, location = source(dataset, data)
    return str(module.fingerprint(location))


def check_data(runs: Sequence[Run], data: Mapping[str, str]) -> None:
    """Ask each data set whether it can give what the runs want, once for runs that differ in nothing it sees.

    Raises:
        SpecError: with the first thing it cannot give.
    """
    for run in _distinct(runs):
        module, location = source(run.dataset, data)
        module.check(run, location)


def _distinct(runs: Sequence[Run]) -> Iterator[Run]:
    seen: set[tuple[Any, ...]] = set()
    for run in runs:
        facts = (run.dataset, run.image_size, run.holdout, run.batch_size, run.crop_min_area, run.hflip, run.eval_crop)
        if facts not in seen:
            seen.add(facts)
            yield run
