"""Runs to worker processes: start as many as there are slots, see what becomes of them, replace the dead.

Every worker gets the whole list and takes what nobody else has taken, so two launchers of one study share its work.
This is the only module that imports submitit.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ablate import job, records
from ablate.job import failure_of, note_failure, request, work
from ablate.paths import Root
from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import Run
from ablate.status import RunStatus, Survey, check_data

POLL_S = 0.5
FOREVER_MIN = 60 * 24 * 365
STOP_S = 10.0

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


class LocalWorker:
    """A process of submitit's local executor."""

    def __init__(self, name: str, slot: int, submitted: Any) -> None:
        self.name, self.slot, self._job = name, slot, submitted

    def alive(self) -> bool:
        """Whether submitit's controller of it still runs."""
        return not self._job.done()

    def returned(self) -> bool:
        """Whether it left its result."""
        return bool(self._job.paths.result_pickle.exists() and self._job.exception() is None)

    def stop(self) -> None:
        """Interrupt it: it lets go of its run and ends."""
        self._job.cancel()

    def said(self) -> str:
        """The last lines of its output."""
        path = self._job.paths.stdout
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-job.LOG_TAIL :])


class Local:
    """Workers on this machine, by submitit's local executor, one a slot.

    submitit has no queue of its own and would give every job the first GPU: slots, and the GPU of each, are ours.
    """

    def __init__(self, root: Root, resources: Resources) -> None:
        self.root, self.threads = root, resources.threads
        self.folder = root.runs / "submitit" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self.gpus = gpus()

    def start(self, name: str, slot: int, keys: Sequence[str]) -> LocalWorker:
        """Start a worker process that outlives this one."""
        import submitit

        executor = submitit.LocalExecutor(self.folder)
        gpu = {"gpus_per_node": 1, "visible_gpus": (self.gpus[slot % len(self.gpus)],)} if self.gpus else {}
        executor.update_parameters(timeout_min=FOREVER_MIN, stderr_to_stdout=True, **gpu)
        with _environment({"OMP_NUM_THREADS": str(self.threads)}), _output_to(self.folder / "controllers.log"):
            return LocalWorker(name, slot, executor.submit(work, str(self.root.path), list(keys), name))


def gpus() -> list[int]:
    """The indices of this machine's CUDA devices that may be used, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [int(index) for index in visible.split(",") if index.strip().isdigit()]
    return list(range(len(glob.glob("/dev/nvidia[0-9]*"))))


def slots(resources: Resources, jobs: int | None = None) -> int:
    """How many runs train side by side: as asked, else one a GPU, else cores over threads."""
    if jobs is not None:
        if jobs < 1:
            raise SpecError(f"--jobs is {jobs}; wanted is 1 or more")
        return jobs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return len(gpus()) or max(1, cores // resources.threads)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """What child processes inherit, changed for a moment."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what child processes started here print to a file: they outlive us and must not hold our terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(1), os.dup(2)
    with open(path, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


class Fleet:
    """The workers of one launch."""

    def __init__(self, backend: Backend, size: int) -> None:
        self.backend, self.size = backend, size
        self.workers: list[Worker] = []
        self.started: set[str] = set()
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

    def note_deaths(self, root: Root, statuses: Sequence[RunStatus]) -> None:
        """Leave a failure note for every run whose worker, one of ours, is gone without a word.

        Raises:
            LaunchError: when workers die before they take any run.
        """
        casualties = {s.worker: s for s in statuses if s.state == "waiting" and s.worker in self.started}
        for name, status in casualties.items():
            note_failure(root.run_folder(status.run.key), "the worker process died (killed, or out of memory)", name)
        ended = [worker for worker in self.workers if not worker.alive()]
        self.workers = [worker for worker in self.workers if worker not in ended]
        for worker in ended:
            if not worker.returned() and worker.name not in casualties:
                self.idle_deaths += 1
                if self.idle_deaths >= self.size:
                    raise LaunchError(f"workers die before they take a run; the last one said:\n{worker.said()}")

    def stop(self) -> None:
        """Stop all workers and wait for them to let go of their runs."""
        for worker in self.workers:
            worker.stop()
        deadline = time.monotonic() + STOP_S
        while any(worker.alive() for worker in self.workers) and time.monotonic() < deadline:
            time.sleep(0.1)


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
        if retry and failure_of(folder):
            (folder / "failure.json").unlink()
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
            statuses = survey.look()
            fleet.note_deaths(root, statuses)
            show(statuses)
            if not any(status.state in ("waiting", "running") for status in statuses):
                return statuses
            fleet.fill(statuses)
            time.sleep(POLL_S)
    except BaseException:
        fleet.stop()
        raise


def inline(root: Root, runs: Sequence[Run]) -> None:
    """Train the runs in this process, one after the other, for debugging."""
    work(str(root.path), [run.key for run in runs], f"inline-{os.getpid()}")
