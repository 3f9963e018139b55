"""The workers of one launch on this machine: one per slot; dead workers are replaced.

Every worker gets the whole list of runs and takes those that no other worker holds, so two launches of one study share
its runs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ablate.dispatch.launch import LaunchError
from ablate.dispatch.status import TO_TRAIN, RunStatus

STOP_S = 120.0  # for a checkpoint to be written
IDLE_DEATHS = 3  # deaths in a row, without a started run, after which the launch gives up
READ_S = 2.0  # between two searches for workers of other launches
END_S = 10.0  # for a process to end that has no runs left

LOG = logging.getLogger("ablate")


class Worker(Protocol):
    """A worker process, or a process group of them."""

    name: str
    slot: int

    def alive(self) -> bool:
        """Whether its process exists."""

    def returned(self) -> bool:
        """Whether it has finished its list."""

    def stop(self) -> None:
        """Request its end, after a checkpoint."""

    def kill(self) -> None:
        """End it now."""

    def cause(self) -> str:
        """Return how it ended."""

    def last_lines(self) -> str:
        """Return the last lines of its output."""


class Backend(Protocol):
    """Starts workers."""

    def start(self, name: str, slot: int, keys: Sequence[str]) -> Worker:
        """Start a worker on a list of runs."""


class Others:
    """The workers of other launches on this machine, of which some may have lost their launcher.

    Args:
        working: returns the names of all workers.
        name: of this launch.
    """

    def __init__(self, working: Callable[[], Collection[str]], name: str) -> None:
        self.working, self.name = working, name
        self.found: list[str] = []
        self.read, self.told = -math.inf, False

    def fill(self, slots: int) -> bool:
        """Whether they fill some slots, so that this launch has to wait; say so once."""
        if time.monotonic() - self.read >= READ_S:
            self.found = sorted(one for one in self.working() if not one.startswith(f"{self.name}-"))
            self.read = time.monotonic()
        filled = bool(self.found) and len(self.found) >= slots
        if filled and not self.told:
            LOG.warning("waiting for workers of other launches on this machine: %s", ", ".join(self.found))
            self.told = True
        return filled


class LocalPool:
    """A pool of workers in slots.

    Args:
        name: of the launch; the names of workers are this and a number.
        size: number of slots.
        working: returns the names of all workers on this machine; those of other launches fill slots, too.
    """

    def __init__(
        self, backend: Backend, name: str, size: int, working: Callable[[], Collection[str]] = lambda: ()
    ) -> None:
        self.others = Others(working, name)
        self.backend, self.name, self.size = backend, name, size
        self.workers: list[Worker] = []
        self.ended: dict[str, Worker] = {}
        self.started = 0
        self.took: set[str] = set()
        self.begun: set[str] = set()
        self.idle_deaths = 0

    def poll(self) -> None:
        """Find the workers that have ended; the states of the runs must be read after this."""
        ended = [worker for worker in self.workers if not worker.alive()]
        self.workers = [worker for worker in self.workers if worker not in ended]
        self.ended |= {worker.name: worker for worker in ended}

    def deaths(self, statuses: Sequence[RunStatus]) -> dict[str, str]:
        """Return how the worker of each run ended that lost a worker of this pool, by the key of the run.

        Raises:
            LaunchError: when several workers in a row die before they start a run.
        """
        self.took |= {status.worker for status in statuses}
        begun = {s.run.key for s in statuses if s.state in ("done", "failed") or self._is_mine(s)}
        if begun - self.begun:
            self.idle_deaths = 0  # workers do start runs
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
            self.took.add(name)  # count it once
            self.idle_deaths += 1
            if self.idle_deaths >= max(IDLE_DEATHS, self.size):
                raise LaunchError(f"workers die before they take a run; the last one printed:\n{worker.last_lines()}")

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Start workers until every run or every slot has one."""
        mine = sum(status.state == "running" and self._is_mine(status) for status in statuses)
        free = (s for s in statuses if s.state in TO_TRAIN and not (s.state == "lost" and self._is_mine(s)))
        keys = [status.run.key for status in free]
        while keys and len(self.workers) < min(self.size, len(keys) + mine):
            if self.others.fill(self.size - len(self.workers)):
                break
            slot = min(set(range(self.size)) - {worker.slot for worker in self.workers})
            self.workers.append(self.backend.start(f"{self.name}-{self.started}", slot, keys))
            self.started += 1
        return False

    def _is_mine(self, status: RunStatus) -> bool:
        return status.worker.startswith(f"{self.name}-")

    def stop(self) -> None:
        """Stop all workers after a checkpoint, and kill those that take too long."""
        for worker in self.workers:
            if worker.alive():
                worker.stop()
        self._wait(STOP_S)
        for worker in self.workers:
            if worker.alive():
                worker.kill()

    def finish(self) -> None:
        """Wait for the workers to finish their lists, and stop those that take too long."""
        self._wait(END_S)
        self.stop()

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(worker.alive() for worker in self.workers) and time.monotonic() < deadline:
            time.sleep(0.05)

    def abandon(self) -> None:
        """Stop the workers."""
        self.stop()
