"""Runs to worker processes: start as many as there are slots, see what becomes of them, replace the dead.

Every worker gets the whole list and takes what nobody else has taken, so two launchers of one study share its work.
Where workers run is a back end's business; this folder holds the only modules that import submitit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ablate import lease, records
from ablate.job import request, work
from ablate.notes import note_failure
from ablate.paths import Root
from ablate.resources import Resources
from ablate.spec import Run
from ablate.status import RunStatus, Survey, check_data

POLL_S = 0.5
STOP_S = 10.0
DIED = "the worker process died (killed, or out of memory)"

Show = Callable[[list[RunStatus]], None]


class LaunchError(RuntimeError):
    """Workers cannot be started here."""


class Worker(Protocol):
    """A worker process somewhere."""

    name: str
    slot: int

    def alive(self) -> bool:
        """Whether it is starting or working."""

    def returned(self) -> bool:
        """Whether it came to the end of its list."""

    def stop(self) -> None:
        """Ask it to end now."""

    def said(self) -> str:
        """The last lines it printed."""


class Backend(Protocol):
    """A place to start workers."""

    def start(self, name: str, slot: int, keys: Sequence[str]) -> Worker:
        """Start a worker on a list of runs."""


class Fleet:
    """The workers of one launch."""

    def __init__(self, backend: Backend, size: int) -> None:
        self.backend, self.size = backend, size
        self.workers: list[Worker] = []
        self.started: set[str] = set()
        self.took: set[str] = set()
        self.idle_deaths = 0

    def fill(self, statuses: Sequence[RunStatus]) -> None:
        """Start workers until every waiting run has one, or every slot."""
        free = (s for s in statuses if s.state == "waiting" and s.worker not in self.started)
        waiting = [status.run.key for status in free]
        mine = sum(status.state == "running" and status.worker in self.started for status in statuses)
        while waiting and len(self.workers) < min(self.size, len(waiting) + mine):
            slot = min(set(range(self.size)) - {worker.slot for worker in self.workers})
            name = f"local-{os.getpid()}-{len(self.started)}"
            self.started.add(name)
            self.workers.append(self.backend.start(name, slot, waiting))

    def bury(self) -> list[Worker]:
        """Strike off the workers that have ended, and return them. Look at the runs after it, not before."""
        ended = [worker for worker in self.workers if not worker.alive()]
        self.workers = [worker for worker in self.workers if worker not in ended]
        return ended

    def note_deaths(self, root: Root, ended: Sequence[Worker], statuses: Sequence[RunStatus]) -> None:
        """Leave a failure note for every run whose worker, one of ours, is gone without a word.

        Raises:
            LaunchError: when workers die before they take any run.
        """
        self.took |= {status.worker for status in statuses}
        gone = self.started - {worker.name for worker in self.workers}
        for status in statuses:
            if status.state == "waiting" and status.worker in gone:
                note_failure(root.run_folder(status.run.key), DIED, status.worker)
        for worker in ended:
            if not worker.returned() and worker.name not in self.took:
                self.idle_deaths += 1
                if self.idle_deaths >= self.size:
                    raise LaunchError(f"workers die before they take a run; the last one said:\n{worker.said()}")

    def stop(self) -> None:
        """Stop all workers and wait for them to let go of their runs.

        Raises:
            LaunchError: when some still live after a while.
        """
        for worker in self.workers:
            worker.stop()
        deadline = time.monotonic() + STOP_S
        while any(worker.alive() for worker in self.workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        if alive := [worker.name for worker in self.workers if worker.alive()]:
            raise LaunchError(f"workers do not stop: {', '.join(alive)}; end them by hand")


def prepare(root: Root, survey: Survey, resources: Resources, *, retry: bool = False) -> list[Run]:
    """Leave a request for every run that has no record, and return these runs.

    Args:
        retry: forget earlier failures.

    Raises:
        SpecError: when their data is missing or cannot give what they ask for.
    """
    missing = [status.run for status in survey.look() if status.state != "done"]
    check_data(missing, resources.data)
    for path in survey.stale.values():
        records.set_aside(path)
    survey.stale.clear()
    for run in missing:
        folder = root.run_folder(run.key)
        if retry:
            (folder / "failure.json").unlink(missing_ok=True)
        held = lease.current(folder)
        if held is None or not held.alive:
            request(root, run, resources)
    return missing


def launch(root: Root, survey: Survey, backend: Backend, size: int, show: Show) -> list[RunStatus]:
    """Have every requested run trained, here or by whoever holds it, and return what became of all runs.

    Args:
        size: number of slots.
        show: called with the state of all runs, about twice a second.

    Raises:
        KeyboardInterrupt: after the workers were stopped.
    """
    fleet = Fleet(backend, size)
    try:
        while True:
            ended = fleet.bury()
            statuses = survey.look()
            fleet.note_deaths(root, ended, statuses)
            show(statuses)
            if not any(status.state in ("waiting", "running") for status in statuses):
                return statuses
            fleet.fill(statuses)
            time.sleep(POLL_S)
    except BaseException:
        fleet.stop()
        raise


def inline(root: Root, survey: Survey, runs: Sequence[Run], show: Show) -> list[RunStatus]:
    """Train the runs in this process, one after the other, for debugging; returns what became of all runs."""
    for run in runs:
        show(survey.look())
        work(str(root.path), [run.key], f"inline-{os.getpid()}")
    statuses = survey.look()
    show(statuses)
    return statuses
