"""Who may train a run: a file made exclusively beside its work, with a heartbeat.

A lease is `lease.N` in the run's folder, N its generation; the highest is the one that counts. Taking over a dead
owner's lease creates the next generation and unlinks nothing: to unlink and make again would let two workers in. An
owner asks `held()` before it writes a checkpoint or the record, and stops if a later generation has appeared.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ablate.dispatch import slurm
from ablate.store.root import write_atomically

HEARTBEAT_S = 5.0
QUIET_S = 3 * HEARTBEAT_S  # from here on, Slurm is asked whether the owner's job is still there
STALE_S = 60.0
NAME = re.compile(r"lease\.[1-9][0-9]*")


@dataclass(frozen=True)
class Owner:
    """The process that holds a lease.

    `machine` says where its process id means something; `started` tells a reused process id from the old one. In a
    Slurm job, `job` is its id, and `restarts` how often Slurm had started it again; only its user may ask for it.
    """

    worker: str
    host: str
    pid: int
    started: str
    machine: str = ""
    released: bool = False
    job: str = ""
    restarts: int = 0
    user: int = -1

    @classmethod
    def of(cls, content: Any) -> Owner:
        """The owner that a file names; a TypeError where a field is missing, unknown or of another type."""
        owner = cls(**content)
        if wrong := [item.name for item in fields(cls) if type(getattr(owner, item.name)).__name__ != item.type]:
            raise TypeError(f"of another type: {', '.join(wrong)}")
        return owner

    @classmethod
    def current(cls, worker: str) -> Owner:
        """This process, under a worker's name."""
        here = (socket.gethostname(), os.getpid(), _start_time(os.getpid()), _machine())
        job, restarts = slurm.own_job()
        return cls(worker, *here, job=job, restarts=restarts, user=os.getuid())

    @property
    def is_local(self) -> bool:
        """Whether it runs where this process can see whether it lives."""
        return self.machine == _machine()

    @property
    def is_alive(self) -> bool:
        """Whether a near process is there; a number below 1 names no process, but a group of them."""
        return self.pid > 0 and bool(self.started) and _start_time(self.pid) == self.started

    @property
    def job_is_gone(self) -> bool:
        """Whether Slurm says that its job is over, or waits to be started again."""
        if not self.job or self.user != os.getuid():
            return False
        jobs = slurm.QUEUE.jobs()
        if jobs is None:
            return False
        found = jobs.get(self.job)
        return found is None or not found.running or found.restarts != self.restarts


@cache
def _machine() -> str:
    """The host, its boot, and the process-id namespace: containers of one host, or two of one name, are told apart."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


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
class LeaseInfo:
    """The newest lease of a run, as read from disk. `owner` is None while it is being written."""

    generation: int
    owner: Owner | None
    age_s: float

    @property
    def alive(self) -> bool:
        """Whether its owner may still be working: a near one is looked at, a far one must show its heartbeat.

        A far one whose heartbeat is late is gone at once when Slurm says that its job is.
        """
        owner = self.owner
        if owner is not None and owner.released:
            return False
        if owner is not None and owner.is_local:
            return owner.is_alive
        if owner is not None and QUIET_S < self.age_s < STALE_S:
            return not owner.job_is_gone
        return self.age_s < STALE_S


def current(folder: Path, now: float | None = None) -> LeaseInfo | None:
    """The newest lease in a run's folder, None where there never was one.

    Args:
        now: the time by the clock that stamps the files; None is this machine's, near enough to show a state.
    """
    generations = [int(path.suffix[1:]) for path in folder.glob("lease.*") if NAME.fullmatch(path.name)]
    if not generations:
        return None
    path = folder / f"lease.{max(generations)}"
    return LeaseInfo(max(generations), _read(path), (time.time() if now is None else now) - path.stat().st_mtime)


def launch_of(worker: str) -> str:
    """The part of a worker's name that its mates share, their launch's name: all but the number at its end."""
    return worker.rpartition("-")[0] or worker


def revoke(folder: Path, by: str) -> None:
    """Take a run from whoever holds it, and leave it free: its owner, should it still work, sees that and stops."""
    owner = {**asdict(Owner.current(by)), "released": True}
    while (newest := current(folder)) is not None and (newest.owner is None or not newest.owner.released):
        with suppress(FileExistsError), open(folder / f"lease.{newest.generation + 1}", "x") as file:
            file.write(json.dumps(owner))


def _read(path: Path) -> Owner | None:
    try:
        return Owner.of(json.loads(path.read_text()))
    except (TypeError, ValueError):
        return None


def _file_time(folder: Path) -> float:
    """The time by the clock of the file system, which may be another machine's."""
    with NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.fstat(file.fileno()).st_mtime


class Heartbeat:
    """Renews a file's time until it is stopped, in a thread: those who cannot see this process see that it lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave the file alone from now on."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with suppress(OSError):  # a file system that stutters is no reason to lose the run
                os.utime(self.path)


class Lease:
    """A lease this process holds, with a heartbeat until it is released."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path, self.owner = path, owner
        self.generation = int(path.suffix[1:])
        self._heartbeat = Heartbeat(path)

    @classmethod
    def acquire(cls, folder: Path, worker: str) -> Lease | None:
        """The lease of a run, or None while somebody else may be working on it."""
        folder.mkdir(parents=True, exist_ok=True)
        newest = current(folder, _file_time(folder))
        if newest is not None and newest.alive:
            return None
        path = folder / f"lease.{newest.generation + 1 if newest else 1}"
        owner = Owner.current(worker)
        try:
            with open(path, "x") as file:
                file.write(json.dumps(asdict(owner)))
        except FileExistsError:
            return None
        return cls(path, owner)

    def held(self) -> bool:
        """Whether no later generation has appeared."""
        newest = current(self.path.parent)
        return newest is None or newest.generation <= self.generation

    def release(self) -> None:
        """Let others in: the file stays and says so."""
        self._heartbeat.stop()
        write_atomically(self.path, json.dumps(asdict(self.owner) | {"released": True}).encode())
