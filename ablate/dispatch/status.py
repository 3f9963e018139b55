"""What became of each run, derived from disk: its record, its lease, its failure note, and who was asked to train it.

A run is *done* when its record is there, *running* while somebody holds its lease, *failed* when a failure note lies in
its folder, *lost* when whoever had it is gone without a word, *queued* when a launch that lives will come to it, and
*waiting* otherwise: nobody is going to train it until it is launched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from ablate.dispatch import lease, slurm
from ablate.dispatch.data import fingerprint
from ablate.dispatch.ledger import Launches
from ablate.dispatch.notes import failure_of
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root

State = Literal["done", "running", "failed", "lost", "queued", "waiting"]


@dataclass(frozen=True)
class RunStatus:
    """One run's state.

    Args:
        worker: whose lease on it is not released.
        job: the Slurm job it was last given to, or runs in.
        where: worker and host of a running one, for people.
        log: what its worker prints, beside the run's own log.
        error: why it failed or is lost; why a job waits.
        progress: what a running one last said.
    """

    run: Run
    state: State
    worker: str = ""
    job: str = ""
    where: str = ""
    log: str = ""
    error: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def as_data(self, name: str) -> dict[str, Any]:
        """Return the state, ready for JSON.

        Args:
            name: what to call the run.
        """
        texts = {field: getattr(self, field) for field in ("state", "worker", "job", "where", "log", "error")}
        rest = {"progress": dict(self.progress), "metrics": dict(self.metrics)}
        return {"key": self.run.key, "name": name} | texts | rest


class StatusMonitor:
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
        self.launches = Launches(root)
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

    def poll(self) -> list[RunStatus]:
        """The state of every run, in the order given."""
        self.launches.refresh()  # first: a job that is seen to have gone has left its record before
        return [self._state_of(run) for run in self.runs]

    def _state_of(self, run: Run) -> RunStatus:
        path = records.path_of(self.root.results, run)
        if run.key not in self._done and run.key not in self.stale and path.exists():
            self._done[run.key] = _done(run, records.read(path))
        return self._done.get(run.key) or with_launch_info(
            unfinished(self.root.run_folder(run.key), run), self.launches
        )


def _done(run: Run, record: records.Record) -> RunStatus:
    return RunStatus(
        run, "done", metrics={k: v for k, v in record.metrics.items() if not k.endswith("correct")} | record.cost
    )


def unfinished(folder: Path, run: Run) -> RunStatus:
    """The state of a run without a record, from its folder alone."""
    held = lease.current(folder)
    owner = held.owner if held and held.owner and not held.owner.released else None
    worker, job = (owner.worker, owner.job) if owner else ("", "")
    if held is not None and held.alive:
        where = f"{owner.host} {worker.rpartition('-')[2]}" if owner else ""
        return RunStatus(run, "running", worker, job, where, progress=_progress(folder))
    if failure := failure_of(folder):
        return RunStatus(run, "failed", worker, job, error=str(failure["error"]))
    if owner:
        return RunStatus(run, "lost", worker, job, error=f"{worker} on {owner.host} is gone without a word")
    return RunStatus(run, "waiting")


def with_launch_info(status: RunStatus, launches: Launches) -> RunStatus:
    """A run's state with what is known of the launch and the Slurm job it was given to."""
    found = launches.job_of(status.run.key)
    if found is None:
        queued = status.state == "waiting" and launches.supervised(status.run.key)
        return replace(status, state="queued") if queued and requested(launches, status.run) else status
    launch, name = found
    status = replace(status, job=status.job or name, log=str(launch.log_of(name)))
    if status.state not in ("waiting", "lost") or not requested(launches, status.run):
        return status
    if launches.jobs is None:
        return replace(status, state="queued", error="Slurm does not answer")
    job = launches.jobs.get(name)
    if job and job.live:
        return replace(status, state="queued", error=job.reason if job.reason != "None" else "")
    if status.state == "waiting":
        return replace(status, state="lost", error=f"Slurm job {name} is over, without a word of this run")
    return status


def requested(launches: Launches, run: Run) -> bool:
    """Whether it is still wanted: `ablate cancel` takes the request away."""
    return (launches.folder.parent / run.key / "run.json").exists()


def with_exit_reason(statuses: Sequence[RunStatus]) -> list[RunStatus]:
    """The same, with how the jobs of lost runs ended, where Slurm's accounting knows."""
    lost = {status.job for status in statuses if status.state == "lost" and status.job}
    how = slurm.ended(lost)
    return [
        replace(status, error=f"Slurm job {status.job} ended: {how[status.job]}")
        if status.state == "lost" and status.job in how
        else status
        for status in statuses
    ]


def _progress(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = orjson.loads((folder / "progress.json").read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return content
