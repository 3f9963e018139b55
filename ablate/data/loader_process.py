"""What a loader process does: prepare items in shared memory, on request, until its parent ends.

The memory is the kernel's and has no name. It is not in /dev/shm, which containers limit.
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
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, Protocol

import torch

ITEM = 32  # images that a process prepares at a time
PARENT_CHECK_S = 5.0  # a loader process notices within this time that its parent has ended

Corrupt = list[tuple[int, str]]
Result = tuple[torch.Tensor, Corrupt]


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


def views(memory: SharedMemory, workers: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the number of images that each process has prepared, and the slots for the images of an item each."""
    beats, rest = memory.bytes[: 8 * workers].view(torch.int64), memory.bytes[8 * workers :]
    return beats, rest.view(-1, ITEM, 3, side, side)


def serve(source: Source, pipe: Connection, memory: SharedMemory, number: int, workers: int, side: int) -> None:
    """Prepare items in a loader process until an empty message."""
    _ignore_signals()
    torch.set_num_threads(1)
    beats, slots = views(memory, workers, side)

    def beat() -> None:
        beats[number] += 1

    source.beat = beat
    pipe.send_bytes(b"ready")
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
