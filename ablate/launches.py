"""Which runs were handed to whom: one small JSON file a launch, in `runs/launches/`.

A launch is one supervisor with its local workers, or jobs submitted to Slurm. The file says where to look; whether a
process or job is still there is asked anew each time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from ablate import slurm
from ablate.lease import HEARTBEAT_S, Held, Owner
from ablate.paths import Root, write_atomically

LOCAL = "local"


@dataclass(frozen=True)
class Launch:
    """One launch, as its file says it.

    Args:
        name: unique, and in the order of time; workers' names begin with it.
        place: LOCAL, or else Slurm.
        keys: of the runs it is to bring to their end.
        owner: the supervising process; None once it has left its jobs to Slurm.
        jobs: the keys each Slurm job was given, by the job's id.
        logs: the folder of the workers' own output.
        age_s: time since the supervisor last touched the file.
    """

    name: str
    place: str
    keys: list[str]
    owner: Owner | None
    logs: str
    jobs: dict[str, list[str]] = field(default_factory=dict)
    age_s: float = 0.0

    @property
    def supervised(self) -> bool:
        """Whether its supervisor is still there."""
        return Held(1, self.owner, self.age_s).alive if self.owner else False

    def log_of(self, job: str) -> Path:
        """Where the first process of a Slurm job prints to."""
        return Path(self.logs) / f"{job}_0_log.out"


class Launches:
    """The launches of a root, read again only where a file has changed."""

    def __init__(self, root: Root) -> None:
        self.folder = root.runs / "launches"
        self._read: dict[Path, tuple[float, Launch]] = {}
        self._job_of: dict[str, tuple[Launch, str]] = {}
        self._local_of: dict[str, str] = {}
        self.jobs: dict[str, slurm.Job] | None = {}

    def refresh(self) -> None:
        """Read what is new, and ask Slurm for its queue where a job may still be in it."""
        now, changed = time.time(), False
        paths = sorted(self.folder.glob("*.json"))
        for path in paths:
            changed |= self._refresh_one(path, now)
        if changed or len(paths) != len(self._read):
            self._read = {path: self._read[path] for path in paths if path in self._read}
            self._index()
        if self._job_of:
            # A job younger than the last answer would look as if it had gone.
            self.jobs = slurm.QUEUE.jobs(newer_than_s=0.0 if changed else slurm.ASK_EVERY_S)

    def _refresh_one(self, path: Path, now: float) -> bool:
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            stamp = path.stat().st_mtime
            known = self._read.get(path)
            launch = known[1] if known and known[0] == stamp else _load(path)
            self._read[path] = stamp, replace(launch, age_s=now - stamp)
            return known is None or known[1].jobs != launch.jobs
        return False

    def _index(self) -> None:
        self._job_of, self._local_of = {}, {}
        for launch in self.all():
            if launch.place == LOCAL:
                self._local_of |= dict.fromkeys(launch.keys, launch.name)
            for job, keys in launch.jobs.items():
                self._job_of |= dict.fromkeys(keys, (launch, job))

    def all(self) -> list[Launch]:
        """Every launch, the oldest first."""
        return [launch for _, launch in self._read.values()]

    def job_of(self, key: str) -> tuple[Launch, str] | None:
        """The Slurm job a run was last given to, with its launch; None where it was launched on a machine since."""
        found = self._job_of.get(key)
        return found if found and self._local_of.get(key, "") < found[0].name else None

    def supervised(self, key: str) -> bool:
        """Whether the last launch of a run on a machine is still there."""
        name = self._local_of.get(key)
        return name is not None and self._read[self.folder / f"{name}.json"][1].supervised


def _load(path: Path) -> Launch:
    content = orjson.loads(path.read_bytes())
    owner = Owner(**content["owner"]) if content["owner"] else None
    return Launch(**(content | {"owner": owner}))


class Ledger:
    """The file of one's own launch: written when something changes, touched to show that the supervisor lives."""

    def __init__(self, root: Root, place: str, keys: Iterable[str]) -> None:
        # Sortable by time to the microsecond, so that the newest launch of a run is the one that counts.
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1000 % 1_000_000:06d}-{place}-{os.getpid()}"
        logs = root.runs / "launches" / name
        self.launch = Launch(name, place, list(keys), Owner.me(name), str(logs))
        self.path = logs.with_suffix(".json")
        self._touched = 0.0
        self._write()

    def add_jobs(self, jobs: dict[str, list[str]]) -> None:
        """Remember jobs submitted to Slurm, with the keys each was given."""
        self._write(jobs=self.launch.jobs | jobs)

    def leave(self) -> None:
        """The supervisor goes; what it submitted to Slurm goes on."""
        self._write(owner=None)

    def touch(self) -> None:
        """Show those who cannot see this process that it lives."""
        if time.monotonic() - self._touched > HEARTBEAT_S:
            with suppress(OSError):
                os.utime(self.path)
            self._touched = time.monotonic()

    def _write(self, **changes: Any) -> None:
        self.launch = replace(self.launch, **changes)
        content = {name: value for name, value in asdict(self.launch).items() if name != "age_s"}
        write_atomically(self.path, orjson.dumps(content))
