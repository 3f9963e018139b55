"""Loader processes: they prepare small groups of images in memory that they share with the training process.

The messages of a process pass through a pipe of its own, so that no lock is shared. A process that cannot deliver,
because it was killed or stopped or because its file system does not answer, ends the run with a sentence; a slow one is
waited for, and one that does not start is replaced.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ablate.data.loader_process import ITEM, Result, SharedMemory, Source, serve, views

LOG = logging.getLogger("ablate")
MOST_AHEAD = 32  # items of a process, whose messages fit into a pipe that nobody reads
POLL_S = 5.0
QUIET_POLLS = 11  # without a new image, after which a process counts as stuck
STARTS = {"fork": (3, 3)}  # polls until a process is ready, and how many are started one after the other
SLOW_START = 60, 1  # likewise, where it is not a copy of this process and imports torch first
HURRIED_POLLS = 2  # when a stop was requested
END_S = 1.0


class LoaderError(RuntimeError):
    """A loader process cannot deliver."""


class RemoteError(Exception):
    """The traceback of an error in a loader process."""


@dataclass(frozen=True)
class _Process:
    """A loader process, and this end of its pipe."""

    process: BaseProcess
    pipe: Connection


class Loader:
    """Prepares lists of items, in order, in processes that persist from list to list.

    Args:
        source: what prepares the images of an item.
        workers: number of processes, each with one thread; 0 prepares in this process.
        side: of the images.
        ahead: number of images to prepare before they are needed.
    """

    def __init__(self, source: Source, workers: int, side: int, ahead: int) -> None:
        self.source, self.workers, self.side = source, workers, side
        self.depth = min(max(2, -(-ahead // (ITEM * max(1, workers)))), MOST_AHEAD)
        self.processes: list[_Process] = []
        self.sent = self.received = 0

    def __call__(self, items: Sequence[Any], hurry: Callable[[], bool] = lambda: False) -> Iterator[Result]:
        """Yield the result of each item, valid until the next one is requested. The rest of an earlier list is dropped.

        Args:
            items: of the source.
            hurry: returns whether to wait only shortly for a process that makes no progress.

        Raises:
            LoaderError: when a process cannot deliver.
        """
        if not self.workers:
            yield from (self.source[item] for item in items)
            return
        if not self.processes:
            self._start()
        while self.received < self.sent:
            self._receive(hurry)
        first = self.sent
        for done in range(len(items)):
            while self.sent - first < min(len(items), done + self.workers * self.depth):
                self._send(items[self.sent - first])
            yield self._receive(hurry)

    def _start(self) -> None:
        slots = self.workers * self.depth + 1  # one is being read
        self.memory = SharedMemory(8 * self.workers + slots * ITEM * 3 * self.side**2)
        self.beats, self.slots = views(self.memory, self.workers, self.side)
        weakref.finalize(self, _end, os.getpid(), self.processes)
        self.processes += [self._begin(number) for number in range(self.workers)]
        for number in range(self.workers):
            self._await_start(number)

    def _begin(self, number: int) -> _Process:
        ours, theirs = multiprocessing.Pipe()
        arguments = (self.source, theirs, self.memory, number, self.workers, self.side)
        process = multiprocessing.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Process(process, ours)

    def _await_start(self, number: int) -> None:
        """Wait until a process is ready; replace one that is not.

        A process that was copied while another thread held a lock waits for that lock for ever.
        """
        polls, starts = STARTS.get(multiprocessing.get_start_method(), SLOW_START)
        for left in reversed(range(starts)):
            one = self.processes[number]
            if any(wait([one.pipe, one.process.sentinel], POLL_S) for _ in range(polls)):
                _received(one)
                return
            one.process.kill()
            one.pipe.close()
            if left:
                LOG.warning("a loader process was not ready after %.0f s; another one is started", polls * POLL_S)
                self.processes[number] = self._begin(number)
        raise LoaderError(f"a loader process did not start within {polls * starts * POLL_S:.0f} s")

    def _send(self, item: Any) -> None:
        one = self.processes[self.sent % self.workers]
        with suppress(BrokenPipeError, ConnectionResetError):  # it was lost, which `_receive` will tell
            one.pipe.send_bytes(pickle.dumps((self.sent % len(self.slots), item)))
        self.sent += 1

    def _receive(self, hurry: Callable[[], bool]) -> Result:
        """Return the oldest result that was not received yet."""
        number = self.received % self.workers
        one = self.processes[number]
        self._wait(one, number, hurry)
        count, corrupt, error, trace = pickle.loads(_received(one))  # noqa: S301 - from our own process
        slot = self.received % len(self.slots)
        self.received += 1
        if error is not None:
            raise error from RemoteError(trace)
        return self.slots[slot, :count], corrupt

    def _wait(self, one: _Process, number: int, hurry: Callable[[], bool]) -> None:
        """Wait for a message of a process, or its end, as long as it makes progress.

        Polls are counted, not seconds, so that time in which this process itself was stopped does not count.
        """
        quiet, seen = 0, int(self.beats[number])
        while not wait([one.pipe, one.process.sentinel], POLL_S):
            beats = int(self.beats[number])
            quiet, seen = (quiet + 1 if beats == seen else 0), beats
            if quiet >= (HURRIED_POLLS if hurry() else QUIET_POLLS):
                state = _state(one.process.pid)
                one.process.kill()
                raise LoaderError(f"a loader process delivered no image for {quiet * POLL_S:.0f} s{state}")


def _received(one: _Process) -> bytes:
    """Return the next message of a process."""
    try:
        return one.pipe.recv_bytes()
    except (EOFError, ConnectionResetError):
        raise LoaderError(f"a loader process was lost{_ending(one.process)}") from None


def _ending(process: BaseProcess) -> str:
    """Return how a process ended, in words."""
    process.join(END_S)
    code = process.exitcode or 0
    if code >= 0:
        return f" (exit code {code})" if code else ""
    name = signal.Signals(-code).name
    return f" (signal {name}{'; often because of insufficient memory' if name == 'SIGKILL' else ''})"


def _state(pid: int | None) -> str:
    """Return why a process does not go on, in words, where the system knows."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    known = {"T": "; it is stopped (SIGSTOP)", "t": "; a debugger stops it", "D": "; it waits for its file system"}
    return known.get(letter, "")


def _end(owner: int, processes: Sequence[_Process]) -> None:
    """End loader processes; a child that inherited them does nothing."""
    if os.getpid() != owner:
        return
    for one in processes:
        with suppress(OSError):
            one.pipe.send_bytes(b"")
        one.pipe.close()
    for one in processes:
        one.process.join(END_S)
        if one.process.is_alive():
            one.process.kill()
            one.process.join(END_S)
