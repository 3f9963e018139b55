"""Who may train a run: a file made exclusively beside its work, with a heartbeat.

A lease is `lease.N` in the run's folder, N its generation; the highest is the one that counts. Taking over a dead
owner's lease creates the next generation and unlinks nothing: to unlink and make again would let two workers in. An
owner asks `held()` before it writes a record, and stops if a later generation has appeared.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ablate.paths import write_atomically

HEARTBEAT_S = 5.0
STALE_S = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that holds a lease; `started` tells a reused process id from the old one."""

    worker: str
    host: str
    pid: int
    started: str
    released: bool = False

    @classmethod
    def me(cls, worker: str) -> Owner:
        """This process, under a worker's name."""
        return cls(worker, socket.gethostname(), os.getpid(), _start_time(os.getpid()))

    def gone(self) -> bool:
        """Whether this process is known to be dead: only a process of the same host can be known."""
        return self.host == socket.gethostname() and _start_time(self.pid) != self.started


def _start_time(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when there is none, or only a zombie of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _signalled(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _signalled(pid: int) -> str:
    """Without /proc: "alive" when the process takes a signal, empty otherwise."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


@dataclass(frozen=True)
class Held:
    """The newest lease of a run, as read from disk. `owner` is None while it is being written."""

    generation: int
    owner: Owner | None
    age_s: float

    @property
    def alive(self) -> bool:
        """Whether its owner may still be working."""
        if self.owner is not None and (self.owner.released or self.owner.gone()):
            return False
        return self.age_s < STALE_S


def current(folder: Path) -> Held | None:
    """The newest lease in a run's folder, None where there never was one."""
    generations = [int(path.suffix[1:]) for path in folder.glob("lease.*") if path.suffix[1:].isdigit()]
    if not generations:
        return None
    path = folder / f"lease.{max(generations)}"
    return Held(max(generations), _read(path), time.time() - path.stat().st_mtime)


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (TypeError, ValueError):
        return None


class Lease:
    """A lease this process holds; its file's time is renewed by a thread until it is released."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path, self.owner = path, owner
        self.generation = int(path.suffix[1:])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, folder: Path, worker: str) -> Lease | None:
        """The lease of a run, or None while somebody else may be working on it."""
        folder.mkdir(parents=True, exist_ok=True)
        newest = current(folder)
        if newest is not None and newest.alive:
            return None
        path = folder / f"lease.{newest.generation + 1 if newest else 1}"
        owner = Owner.me(worker)
        try:
            with open(path, "x") as file:
                file.write(json.dumps(asdict(owner)))
        except FileExistsError:
            return None
        return cls(path, owner)

    def held(self) -> bool:
        """Whether no later generation has appeared."""
        newest = current(self.path.parent)
        return newest is not None and newest.generation == self.generation

    def release(self) -> None:
        """Let others in: the file stays and says so."""
        self._stop.set()
        self._thread.join()
        write_atomically(self.path, json.dumps(asdict(self.owner) | {"released": True}).encode())

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            os.utime(self.path)
