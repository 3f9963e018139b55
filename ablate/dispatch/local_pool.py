"""The workers of one launch on this machine: as many as there are slots, the dead replaced.

Every worker gets the whole list and takes what nobody else has taken, so two launchers of one study share its work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from ablate.dispatch.launch import LaunchError
from ablate.dispatch.status import RunStatus

STOP_S = 120.0  # for a checkpoint to be written
IDLE_DEATHS = 3  # in a row, before anything is begun: the next worker would die too
END_S = 10.0  # for a process to end that has no more to do


class Worker(Protocol):
    """A worker process, or a process group of them."""

    name: str
    slot: int

    def alive(self) -> bool:
        """Whether it is starting or working."""

    def returned(self) -> bool:
        """Whether it came to the end of its list."""

    def stop(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it now."""

    def cause(self) -> str:
        """How it ended."""

    def said(self) -> str:
        """The last lines it printed."""


class Backend(Protocol):
    """A place to start workers."""

    def start(self, name: str, slot: int, keys: Sequence[str]) -> Worker:
        """Start a worker on a list of runs."""


class LocalPool:
    """A pool of workers in slots.

    Args:
        name: of the launch; workers are called by it and a number.
        size: number of slots.
    """

    def __init__(self, backend: Backend, name: str, size: int) -> None:
        self.backend, self.name, self.size = backend, name, size
        self.workers: list[Worker] = []
        self.ended: dict[str, Worker] = {}
        self.started = 0
        self.took: set[str] = set()
        self.begun: set[str] = set()
        self.idle_deaths = 0

    def poll(self) -> None:
        """Strike off the workers that have ended; look at the runs after it, not before."""
        ended = [worker for worker in self.workers if not worker.alive()]
        self.workers = [worker for worker in self.workers if worker not in ended]
        self.ended |= {worker.name: worker for worker in ended}

    def deaths(self, statuses: Sequence[RunStatus]) -> dict[str, str]:
        """The runs, by key, whose worker, one of this pool, is gone without a word; and how it ended.

        Raises:
            LaunchError: when workers die one after the other before they take any run.
        """
        self.took |= {status.worker for status in statuses}
        begun = {s.run.key for s in statuses if s.state in ("done", "failed") or self._is_mine(s)}
        if begun - self.begun:
            self.idle_deaths = 0  # workers can begin: one that died was bad luck
        self.begun |= begun
        found = {
            status.run.key: self.ended[status.worker].cause()
            for status in statuses
            if status.state == "lost" and status.worker in self.ended
        }
        self._count_idle_deaths()
        return found

    def _count_idle_deaths(self) -> None:
        for name, worker in list(self.ended.items()):
            if worker.returned() or name in self.took:
                continue
            self.took.add(name)  # counted once
            self.idle_deaths += 1
            if self.idle_deaths >= max(IDLE_DEATHS, self.size):
                raise LaunchError(f"workers die before they take a run; the last one said:\n{worker.said()}")

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Start workers until every run to train has one, or every slot."""
        mine = sum(status.state == "running" and self._is_mine(status) for status in statuses)
        free = (s for s in statuses if s.state in ("waiting", "queued") or (s.state == "lost" and not self._is_mine(s)))
        keys = [status.run.key for status in free]
        while keys and len(self.workers) < min(self.size, len(keys) + mine):
            slot = min(set(range(self.size)) - {worker.slot for worker in self.workers})
            self.workers.append(self.backend.start(f"{self.name}-{self.started}", slot, keys))
            self.started += 1
        return False

    def _is_mine(self, status: RunStatus) -> bool:
        return status.worker.startswith(f"{self.name}-")

    def stop(self) -> None:
        """Have all workers write checkpoints, let go of their runs and end; whoever takes too long is killed."""
        for worker in self.workers:
            if worker.alive():
                worker.stop()
        self._wait(STOP_S)
        for worker in self.workers:
            if worker.alive():
                worker.kill()

    def finish(self) -> None:
        """Nothing is left to train: workers find the end of their list; whoever does not is stopped."""
        self._wait(END_S)
        self.stop()

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(worker.alive() for worker in self.workers) and time.monotonic() < deadline:
            time.sleep(0.05)

    def abandon(self) -> None:
        """Whoever started the workers and is interrupted stops them first."""
        self.stop()
