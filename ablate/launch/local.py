"""Workers on this machine, by submitit's local executor, one a slot."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ablate.job import work
from ablate.notes import LOG_TAIL
from ablate.paths import Root
from ablate.registry import SpecError
from ablate.resources import Resources

FOREVER_MIN = 60 * 24 * 365


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
        with suppress(OSError):
            self._job.cancel()

    def said(self) -> str:
        """The last lines of its output."""
        path = self._job.paths.stdout
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-LOG_TAIL:])


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
        executor.update_parameters(timeout_min=FOREVER_MIN, stderr_to_stdout=True)
        gpu = self.gpus[slot % len(self.gpus)] if self.gpus else ""
        with _environment({"OMP_NUM_THREADS": str(self.threads)}), _output_to(self.folder / "controllers.log"):
            return LocalWorker(name, slot, executor.submit(work, str(self.root.path), list(keys), name, gpu))


def gpus() -> list[str]:
    """The CUDA devices of this machine that may be used, by index or name, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


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
