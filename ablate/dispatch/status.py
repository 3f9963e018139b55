"""The state of each run, derived from disk: its record, its lease, its failure note, and the launches that have it.

A run is *done* when `ablate.dispatch.evidence` says so, *damaged* when its record was edited or damaged, *running*
while a live worker holds its lease, *failed* when its folder has a failure note, *lost* when its worker disappeared,
*queued* when a live launch or job will train it, *unreadable* when its request, its failure note or a lease without a
heartbeat is damaged, and *waiting* otherwise, until a launch has it. A launch trains an unreadable run as a waiting
one, and a damaged one never.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ablate.dispatch import evidence, lease, slurm
from ablate.dispatch.data import fingerprint
from ablate.dispatch.ledger import Launches
from ablate.dispatch.notes import read_failure, read_progress, read_request
from ablate.spec.errors import SpecError
from ablate.spec.printable import printable
from ablate.spec.run import Run
from ablate.store import records, rows
from ablate.store.json_files import Unreadable
from ablate.store.root import Root

State = Literal["done", "running", "failed", "lost", "queued", "waiting", "unreadable", "damaged"]
TO_TRAIN: tuple[State, ...] = ("waiting", "queued", "lost", "unreadable")
SETTLED: tuple[State, ...] = ("done", "damaged")  # a run with a record is not trained


@dataclass(frozen=True)
class RunStatus:
    """One run's state.

    Args:
        worker: the owner of a lease that is not released.
        job: the Slurm job that has it, or had it last.
        where: host and worker of a running one, for display.
        log: the output of its worker; the run's own log is another file.
        error: why it failed or is lost, why its job waits, or which of its files is damaged and what to do.
        progress: the last progress of one that runs, or was interrupted.
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
    """Reads the states of some runs each time it is polled; no record is read twice.

    Args:
        root: with the results and the runs in progress.
        runs: the runs to monitor.
        data: paths of datasets, by name, to compare their fingerprints with those of the records.

    Attributes:
        stale: the records of other data, by key.
        present: the present fingerprint of every dataset; None where it is not available.
    """

    def __init__(self, root: Root, runs: Sequence[Run], data: Mapping[str, str] | None = None) -> None:
        self.root, self.runs = root, list(runs)
        self._data = data or {}
        self._settled: dict[str, RunStatus] = {}
        self.present: dict[str, str | None] = {}
        self.launches = Launches(root)
        self.stale: dict[str, Path] = {}
        self.read_records()

    def read_records(self) -> None:
        """Read which runs have a record, and whether it counts."""
        by_variant: dict[Run, list[int]] = {}
        for run in self.runs:
            by_variant.setdefault(run.replace(seed=0), []).append(run.seed)
        self.present = {name: fingerprint(name, self._data) for name in {run.dataset for run in self.runs}}
        found = evidence.gather(rows.read(self.root.results), by_variant.items(), self.present)
        self.stale = {key: Path(path) for key, path in found.other_data.items()}
        for run in self.runs:
            if run.key in found.damaged:
                self._settled[run.key] = RunStatus(run, "damaged", error=printable(found.damaged[run.key]))
            elif run.key in found.places:
                self._settled[run.key] = _done(run, Path(found.rows.paths[run.key]))

    def poll(self) -> list[RunStatus]:
        """Return the state of every run, in the given order."""
        self.launches.refresh()  # first: a job that has ended has written its records before
        found = [self._state_of(run) for run in self.runs]
        working = {lease.launch_of(status.worker) for status in found if status.state == "running"}
        return [
            status if status.state == "done" else with_launch_info(status, self.launches, working) for status in found
        ]

    def _state_of(self, run: Run) -> RunStatus:
        path = records.path_of(self.root.results, run)
        if run.key not in self._settled and run.key not in self.stale and path.exists():
            self._settled[run.key] = _done(run, path)
        return self._settled.get(run.key) or unfinished(self.root.run_folder(run.key), run)


def _done(run: Run, path: Path) -> RunStatus:
    try:
        record = records.read(path, history=False)
    except SpecError as error:
        return RunStatus(run, "damaged", error=printable(str(error)))
    metrics = {k: v for k, v in record.metrics.items() if not k.endswith("correct")} | record.cost
    return RunStatus(run, "done", metrics=metrics)


def unfinished(folder: Path, run: Run) -> RunStatus:
    """Return the state of a run without a record, from its folder alone."""
    held = lease.current(folder)
    owner = held.owner if held and held.owner and not held.owner.released else None
    worker, job = (owner.worker, owner.job) if owner else ("", "")
    if held is not None and held.alive:
        where = printable(f"{owner.host} {worker.rpartition('-')[2]}") if owner else ""
        return _running(RunStatus(run, "running", worker, job, where), folder)
    failure, request = read_failure(folder), read_request(folder)
    if isinstance(failure, dict):
        return RunStatus(run, "failed", worker, job, error=printable(failure["error"]))
    damages = [one for one in (failure, request, held.damage if held else None) if isinstance(one, Unreadable)]
    errors = [f"{damage}; {_remedy(damage, held)}" for damage in damages[:1]]
    reached = {} if isinstance(progress := read_progress(folder), Unreadable) else progress or {}
    if owner:
        gone = printable(f"worker disappeared (no exit status): {worker} on {owner.host}")
        return RunStatus(run, "lost", worker, job, error="; ".join([gone, *errors]), progress=reached)
    return RunStatus(run, "unreadable" if damages else "waiting", error="".join(errors), progress=reached)


def _running(status: RunStatus, folder: Path) -> RunStatus:
    """Return the status of a running run, with its progress."""
    progress = read_progress(folder)
    if isinstance(progress, Unreadable):
        return replace(status, error=f"{progress}; its worker will write it again")
    return replace(status, progress=progress or {})


def _remedy(damage: Unreadable, held: lease.LeaseInfo | None) -> str:
    """Return what to do about a damaged file. A lease must stay, because its number counts."""
    if held is not None and damage == held.damage:
        return "run the study again, which trains this run"
    return "delete it, or run the study again, which trains this run"


def with_launch_info(status: RunStatus, launches: Launches, working: Collection[str] = ()) -> RunStatus:
    """Return the state of a run, updated with its launch and its Slurm job.

    Args:
        working: launches with a living worker, which goes on to their other runs if their supervisor has died.
    """
    found = launches.job_of(status.run.key)
    if found is None:
        has_launch = launches.supervised(status.run.key) or launches.has_run(status.run.key, working)
        queued = status.state in ("waiting", "unreadable") and has_launch
        return replace(status, state="queued") if queued and requested(launches, status.run) else status
    launch, name = found
    status = replace(status, job=status.job or name, log=str(launch.log_of(name)))
    if status.state not in ("waiting", "lost", "unreadable") or not requested(launches, status.run):
        return status
    if launches.jobs is None:
        return replace(status, state="queued", error="Slurm does not answer")
    job = launches.jobs.get(name)
    if job and job.live:
        return replace(status, state="queued", error=job.reason if job.reason != "None" else "")
    if status.state != "lost":
        sentences = [f"Slurm job {name} ended without a result for this run", *filter(None, [status.error])]
        return replace(status, state="lost", error="; ".join(sentences))
    return status


def requested(launches: Launches, run: Run) -> bool:
    """Whether a run is requested; `ablate cancel` removes the request."""
    return (launches.folder.parent / run.key / "run.json").exists()


def with_exit_reason(statuses: Sequence[RunStatus]) -> list[RunStatus]:
    """Return the states; the error of a lost run shows how its job ended, if Slurm's accounting knows that."""
    lost = {status.job for status in statuses if status.state == "lost" and status.job}
    reasons = slurm.ended(lost)
    return [
        replace(status, error=f"Slurm job {status.job} ended: {reasons[status.job]}")
        if status.state == "lost" and status.job in reasons
        else status
        for status in statuses
    ]
