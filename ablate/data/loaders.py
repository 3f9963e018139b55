"""Loader processes: they prepare small groups of images in memory that they share with the training process.

The images lie in memory of the kernel that has no name, not in /dev/shm, which containers limit, and the messages of a
process pass through a pipe of its own, so that no lock is shared. A process that cannot deliver, because it was killed
or stopped or because its file system does not answer, ends the run with a sentence; a slow one is waited for.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Protocol

import torch

ITEM = 32  # images that a process prepares at a time
MOST_AHEAD = 32  # items of a process, whose messages fit into a pipe that nobody reads
POLL_S = 5.0
QUIET_POLLS = 11  # without a new image, after which a process counts as stuck
STARTING_POLLS = 60  # before its first image, since a process may import torch first
HURRIED_POLLS = 2  # when a stop was requested
PARENT_CHECK_S = 5.0  # a loader process notices within this time that its parent has ended
END_S = 1.0

Corrupt = list[tuple[int, str]]
Result = tuple[torch.Tensor, Corrupt]


class LoaderError(RuntimeError):
    """A loader process cannot deliver."""


class RemoteError(Exception):
    """The traceback of an error in a loader process."""


def no_beat() -> None:
    """Do nothing."""


class Source(Protocol):
    """Prepares images."""

    beat: Callable[[], None]  # to be called after each image

    def __getitem__(self, item: Any) -> Result:
        """Return at most `ITEM` images, uint8 (n, 3, S, S), and index and reason of each corrupt one."""


class SharedMemory:
    """Memory of some bytes that processes share, also those that are started later."""

    def __init__(self, size: int) -> None:
        if hasattr(os, "memfd_create"):
            self._open(os.memfd_create("ablate"), size)
        else:  # macOS
            with tempfile.TemporaryFile() as file:
                self._open(os.dup(file.fileno()), size)

    def _open(self, number: int, size: int) -> None:
        self.number, self.size = number, size
        weakref.finalize(self, os.close, number)
        os.ftruncate(number, size)
        self.bytes = torch.frombuffer(mmap.mmap(number, size), dtype=torch.uint8)

    def __getstate__(self) -> Any:
        return DupFd(self.number), self.size

    def __setstate__(self, state: Any) -> None:
        self._open(state[0].detach(), state[1])


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
        self.beats, self.slots = _views(self.memory, self.workers, self.side)
        for number in range(self.workers):
            ours, theirs = multiprocessing.Pipe()
            arguments = (self.source, theirs, self.memory, number, self.workers, self.side)
            process = multiprocessing.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.processes.append(_Process(process, ours))
        weakref.finalize(self, _end, os.getpid(), self.processes)

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
        try:
            count, corrupt, error, trace = pickle.loads(one.pipe.recv_bytes())  # noqa: S301 - from our own process
        except (EOFError, ConnectionResetError):
            raise LoaderError(f"a loader process was lost{_ending(one.process)}") from None
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
            most = HURRIED_POLLS if hurry() else QUIET_POLLS if beats else STARTING_POLLS
            if quiet >= most:
                state = _state(one.process.pid)
                one.process.kill()
                raise LoaderError(f"a loader process delivered no image for {quiet * POLL_S:.0f} s{state}")


def _views(memory: SharedMemory, workers: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the number of images that each process has prepared, and the slots for the images of an item each."""
    beats, rest = memory.bytes[: 8 * workers].view(torch.int64), memory.bytes[8 * workers :]
    return beats, rest.view(-1, ITEM, 3, side, side)


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


def _serve(source: Source, pipe: Connection, memory: SharedMemory, number: int, workers: int, side: int) -> None:
    """Prepare items in a loader process until an empty message."""
    _ignore_signals()
    torch.set_num_threads(1)
    beats, slots = _views(memory, workers, side)

    def beat() -> None:
        beats[number] += 1

    beat()
    source.beat = beat
    while message := pipe.recv_bytes():
        slot, item = pickle.loads(message)  # noqa: S301 - from our own process
        pipe.send_bytes(_answer(source, item, slots[slot]))


def _answer(source: Source, item: Any, slot: torch.Tensor) -> bytes:
    """Prepare an item in its slot; return the number of images and the corrupt ones, or the error."""
    try:
        images, corrupt = source[item]
        slot[: len(images)] = images
        return pickle.dumps((len(images), corrupt, None, ""))
    except Exception as error:
        return pickle.dumps((0, [], _portable(error), traceback.format_exc()))


def _portable(error: Exception) -> Exception:
    """Return an error, or one that says the same and can be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - from this process
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _ignore_signals() -> None:
    """Ignore Ctrl-C and Slurm's signals, which go to all processes: the run must write its checkpoint first."""
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End at SIGTERM only if the training process sent it, or when that process has ended."""
    parent = multiprocessing.parent_process()  # not getppid, which may be the fork server
    while parent is not None and parent.is_alive():
        received = signal.sigtimedwait({signal.SIGTERM}, PARENT_CHECK_S)
        if received is not None and received.si_pid == parent.pid:
            break
    os._exit(0)
