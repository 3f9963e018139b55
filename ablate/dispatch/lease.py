"""Leases: which worker may train a run. A lease is a file that is created exclusively, with a heartbeat.

It is `lease.N` in the run's folder. N is its generation; only the highest counts. A worker that takes over the lease of
a dead owner creates the next generation and deletes nothing: after a deletion, two workers could both create the file.
An owner calls `held()` before it writes a checkpoint or the record, and stops if there is a later generation.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ablate.dispatch import slurm
from ablate.store import json_files
from ablate.store.json_files import Unreadable
from ablate.store.root import naming, write_atomically

HEARTBEAT_S = 5.0
QUIET_S = 3 * HEARTBEAT_S  # from this age on, Slurm is asked whether the job of the owner still runs
STALE_S = 60.0
NAME_OF_RUN = re.compile(r"[0-9a-f]{10}")
NAME = re.compile(r"lease\.[1-9][0-9]*")


@dataclass(frozen=True)
class Owner:
    """The process that holds a lease.

    `machine` is where the process id is valid; `started` distinguishes processes that reuse an id. In a Slurm job,
    `job` is its id and `restarts` how often Slurm had restarted it; only its `user` can query it.
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
    def from_data(cls, content: Any) -> Owner:
        """Return the owner that a file contains.

        Raises:
            ValueError: when a field is missing, unknown or of another type.
        """
        found = json_files.checked(content, OWNER, OPTIONAL)
        if unknown := sorted(content.keys() - found.keys()):
            raise ValueError(f"it has unknown or empty fields: {', '.join(unknown)}")
        return cls(**found)

    @classmethod
    def current(cls, worker: str) -> Owner:
        """Return this process as an owner."""
        here = (socket.gethostname(), os.getpid(), _start_time(os.getpid()), _machine())
        job, restarts = slurm.own_job()
        return cls(worker, *here, job=job, restarts=restarts, user=os.getuid())

    @property
    def is_local(self) -> bool:
        """Whether this process can see whether the owner is alive."""
        return self.machine == _machine()

    @property
    def is_alive(self) -> bool:
        """Whether the process of a local owner exists. An id below 1 would address a process group."""
        return self.pid > 0 and bool(self.started) and _start_time(self.pid) == self.started

    @property
    def job_runs(self) -> bool | None:
        """Whether Slurm reports the job of the owner as running, not restarted since; no answer is not its end.

        None where Slurm cannot tell: without a job, without Slurm's commands, and for hidden jobs of other users.
        """
        if not self.job or not slurm.installed():
            return None
        if self.user != os.getuid():
            return slurm.QUEUE.shows_running(self.job) or None
        jobs = slurm.QUEUE.jobs()
        if jobs is None:
            return True
        found = jobs.get(self.job)
        return found is not None and found.running and found.restarts == self.restarts


OWNER = {"worker": str, "host": str, "pid": int, "started": str}
OPTIONAL = {"machine": str, "released": bool, "job": str, "restarts": int, "user": int}


@cache
def _machine() -> str:
    """Return the host, its boot and the process-id namespace, which also distinguish containers."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks of the kernel; empty if there is none, or only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _responds(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _responds(pid: int) -> str:
    """Return "alive" if a process can receive a signal, else an empty string; for systems without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


@dataclass(frozen=True)
class LeaseInfo:
    """The newest lease of a run, as read from disk.

    `owner` is None while the file is being written, or when it is damaged; `damage` then says what is wrong with it.
    Such a lease is somebody's while it has a recent heartbeat.
    """

    generation: int
    owner: Owner | None
    age_s: float
    damage: Unreadable | None = None

    @property
    def alive(self) -> bool:
        """Whether the owner may still be working.

        A local owner must have its process, another one a recent heartbeat. About an owner with a late heartbeat, Slurm
        is asked: it is dead as soon as its job has ended, and alive as long as its job runs.
        """
        owner = self.owner
        if owner is not None and owner.released:
            return False
        if owner is not None and owner.is_local:
            return owner.is_alive
        runs = owner.job_runs if owner is not None and self.age_s > QUIET_S else None
        return self.age_s < STALE_S if runs is None else runs


def current(folder: Path, now: float | None = None) -> LeaseInfo | None:
    """Return the newest lease in a run's folder; None if there is none.

    Args:
        now: the time of the file system's clock; None uses this machine's, which is good enough to show a state.
    """
    generations = [int(path.suffix[1:]) for path in folder.glob("lease.*") if NAME.fullmatch(path.name)]
    if not generations:
        return None
    path = folder / f"lease.{max(generations)}"
    try:
        age = (time.time() if now is None else now) - _changed(path)
    except FileNotFoundError:  # the folder has just been removed
        return None
    found = json_files.read(path, Owner.from_data)
    if isinstance(found, Owner):
        return LeaseInfo(max(generations), found, age)
    return LeaseInfo(max(generations), None, age, found or Unreadable(path, "it is a link to no file"))


def working_here(runs: Path) -> set[str]:
    """Return the names of all workers on this machine that hold a lease of a root's runs."""
    found = (current(folder) for folder in runs.glob("*") if NAME_OF_RUN.fullmatch(folder.name))
    owners = (one.owner for one in found if one is not None and one.alive)
    return {owner.worker for owner in owners if owner is not None and owner.is_local}


def _changed(path: Path) -> float:
    """Return when a file was changed; for a link to no file, when the link was made."""
    try:
        return path.stat().st_mtime
    except OSError:
        return path.lstat().st_mtime


def launch_of(worker: str) -> str:
    """Return the launch of a worker: its name without the number at the end."""
    return worker.rpartition("-")[0] or worker


def revoke(folder: Path, by: str) -> None:
    """Take a lease from its owner and release it; the owner stops at its next checkpoint."""
    owner = replace(Owner.current(by), released=True)
    while (newest := current(folder)) is not None and (newest.owner is None or not newest.owner.released):
        with suppress(FileExistsError):
            _create(folder / f"lease.{newest.generation + 1}", owner)


def _create(path: Path, owner: Owner) -> None:
    """Create a lease exclusively; one that a full disk does not take is removed, as nobody has held it."""
    with naming(path):
        file = open(path, "x", encoding="utf-8")  # noqa: SIM115 - the removal must not precede the creation
        try:
            with file:
                file.write(json.dumps(asdict(owner)))
        except OSError:
            path.unlink()
            raise


def _file_time(folder: Path) -> float:
    """Return the time of the file system's clock, which may differ from this machine's."""
    with NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.fstat(file.fileno()).st_mtime


class Heartbeat:
    """Updates the time of a file in a thread, which shows other machines that this process is alive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with suppress(OSError):  # a temporary error of the file system must not end the run
                os.utime(self.path)


class Lease:
    """A lease of this process, with a heartbeat until it is released."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self.path, self.owner = path, owner
        self.generation = int(path.suffix[1:])
        self._heartbeat = Heartbeat(path)

    @classmethod
    def acquire(cls, folder: Path, worker: str) -> Lease | None:
        """Return the lease of a run; None while another worker may hold it."""
        folder.mkdir(parents=True, exist_ok=True)
        newest = current(folder, _file_time(folder))
        if newest is not None and newest.alive:
            return None
        path = folder / f"lease.{newest.generation + 1 if newest else 1}"
        owner = Owner.current(worker)
        try:
            _create(path, owner)
        except FileExistsError:
            return None
        return cls(path, owner)

    def held(self) -> bool:
        """Whether there is no later generation."""
        newest = current(self.path.parent)
        return newest is None or newest.generation <= self.generation

    def release(self) -> None:
        """Mark the lease as released, so that other workers may take the run."""
        self._heartbeat.stop()
        write_atomically(self.path, json.dumps(asdict(self.owner) | {"released": True}).encode())
