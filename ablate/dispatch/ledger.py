"""Which runs were handed to whom: one small JSON file a launch, in `runs/launches/`.

A launch is one supervisor with its local workers, or jobs submitted to Slurm. The file says where to look; whether a
process or job is still there is asked anew each time.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch import slurm
from ablate.dispatch.lease import Heartbeat, LeaseInfo, Owner
from ablate.store.root import Root, write_atomically

SLURM = "slurm"
JOB = re.compile(r"\d+(_\d+)?")  # Slurm's id of a job, or of one in an array


@dataclass(frozen=True)
class Launch:
    """One launch, as its file says it; its name and its logs are told by where the file lies, never by what it holds.

    Args:
        path: of its file.
        place: SLURM, or else this machine, in worker processes or inline.
        keys: of the runs it is to bring to their end.
        owner: the supervising process; None once it has left its jobs to Slurm.
        jobs: the keys each Slurm job was given, by the job's id.
        age_s: time since the supervisor last touched the file.
    """

    path: Path
    place: str
    keys: list[str]
    owner: Owner | None
    jobs: dict[str, list[str]] = field(default_factory=dict)
    age_s: float = 0.0

    @property
    def name(self) -> str:
        """Unique, and in the order of time; workers' names begin with it."""
        return self.path.stem

    @property
    def logs(self) -> Path:
        """The folder of the workers' own output."""
        return self.path.with_suffix("")

    @property
    def supervised(self) -> bool:
        """Whether its supervisor is still there."""
        return LeaseInfo(1, self.owner, self.age_s).alive if self.owner else False

    def log_of(self, job: str) -> Path:
        """Where the first process of a Slurm job prints to."""
        return self.logs / f"{job}_0_log.out"


class Launches:
    """The launches of a root, read again only where a file has changed."""

    def __init__(self, root: Root) -> None:
        self.folder = root.runs / "launches"
        self._read: dict[Path, tuple[float, Launch]] = {}
        self._job_of: dict[str, tuple[Launch, str]] = {}
        self._here_of: dict[str, list[Path]] = {}
        self.jobs: dict[str, slurm.Job] | None = {}

    def refresh(self) -> None:
        """Read what is new, and ask Slurm for its queue where a job may still be in it."""
        now, changed = time.time(), False
        paths = sorted(self.folder.glob("[!.]*.json"))
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
        self._job_of, self._here_of = {}, defaultdict(list)
        for launch in self.all():
            for key in launch.keys if launch.place != SLURM else ():
                self._here_of[key].append(launch.path)
            for job, keys in launch.jobs.items():
                self._job_of |= dict.fromkeys(keys, (launch, job))

    def all(self) -> list[Launch]:
        """Every launch, the oldest first."""
        return [launch for _, launch in self._read.values()]

    def job_of(self, key: str) -> tuple[Launch, str] | None:
        """The Slurm job a run was last given to, with its launch; None where it was launched on a machine since."""
        found = self._job_of.get(key)
        here = self._here_of.get(key)
        return found if found and not (here and here[-1].stem > found[0].name) else None

    def supervised(self, key: str) -> bool:
        """Whether a launch of a run on a machine is still there."""
        return any(self._read[path][1].supervised for path in self._here_of.get(key, ()))


def _load(path: Path) -> Launch:
    """The launch in a file.

    Raises:
        KeyError, TypeError, ValueError: when the file holds something else; keys and ids of jobs become parts of paths.
    """
    content = orjson.loads(path.read_bytes())
    place, keys, owner, jobs = content["place"], content["keys"], content["owner"], content["jobs"]
    if not isinstance(place, str) or not isinstance(jobs, dict) or not all(map(JOB.fullmatch, jobs)):
        raise ValueError("a place or jobs of another shape")
    if not all(isinstance(some, list) and all(map(_is_key, some)) for some in (keys, *jobs.values())):
        raise ValueError("keys of another shape")
    return Launch(path, place, keys, Owner.of(owner) if owner else None, jobs)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and value.isalnum()


class Ledger:
    """The file of one's own launch: written when something changes, with a heartbeat while the supervisor is there."""

    def __init__(self, root: Root, place: str, keys: Iterable[str]) -> None:
        # Sortable by time to the microsecond, so that the newest launch of a run is the one that counts.
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1000 % 1_000_000:06d}-{place}-{os.getpid()}"
        self.path = root.runs / "launches" / f"{name}.json"
        self.launch = Launch(self.path, place, list(keys), Owner.current(name))
        self._write()
        self._heartbeat = Heartbeat(self.path)

    def add_jobs(self, jobs: dict[str, list[str]]) -> None:
        """Remember jobs submitted to Slurm, with the keys each was given."""
        self._write(jobs=self.launch.jobs | jobs)

    def leave(self) -> None:
        """The supervisor goes; what it submitted to Slurm goes on."""
        self._heartbeat.stop()
        self._write(owner=None)

    def _write(self, **changes: Any) -> None:
        self.launch = replace(self.launch, **changes)
        content = {name: value for name, value in asdict(self.launch).items() if name not in ("path", "age_s")}
        write_atomically(self.path, orjson.dumps(content))
