"""Which launch has which runs: one small JSON file per launch, in `runs/launches/`.

A launch is one supervisor with its local workers, or jobs submitted to Slurm. The file only names processes and jobs;
whether they are alive is checked each time.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from ablate.dispatch import slurm
from ablate.dispatch.lease import Heartbeat, LeaseInfo, Owner
from ablate.store import json_files
from ablate.store.json_files import Unreadable
from ablate.store.root import Root, write_atomically

SLURM = "slurm"
JOB = re.compile(r"\d+(_\d+)?")  # the id of a Slurm job, or of an element of an array


@dataclass(frozen=True)
class Launch:
    """One launch, as read from its file. Its name and logs follow from the path of the file, not from its content.

    Args:
        path: of the file.
        place: SLURM, else "local" or "inline", both on this machine.
        keys: of its runs.
        owner: the supervising process; None after it has left.
        jobs: the keys of the runs of each Slurm job, by its id.
        age_s: seconds since the last heartbeat of the supervisor.
    """

    path: Path
    place: str
    keys: list[str]
    owner: Owner | None
    jobs: dict[str, list[str]] = field(default_factory=dict)
    age_s: float = 0.0

    @property
    def name(self) -> str:
        """Unique, sorted by time; the names of its workers begin with it."""
        return self.path.stem

    @property
    def logs(self) -> Path:
        """The folder with the output of its workers."""
        return self.path.with_suffix("")

    @property
    def supervised(self) -> bool:
        """Whether its supervisor is alive."""
        return LeaseInfo(1, self.owner, self.age_s).alive if self.owner else False

    def log_of(self, job: str) -> Path:
        """Return the file with the output of the first process of a Slurm job."""
        return self.logs / f"{job}_0_log.out"


class Launches:
    """The launches of a root; a file is read again only when it has changed.

    `unreadable` has the files of launches whose runs are not known, because they are damaged.
    """

    def __init__(self, root: Root) -> None:
        self.folder = root.runs / "launches"
        self._read: dict[Path, tuple[float, Launch]] = {}
        self.unreadable: list[Unreadable] = []
        self._job_of: dict[str, tuple[Launch, str]] = {}
        self._local_of: dict[str, list[Path]] = {}
        self.jobs: dict[str, slurm.Job] | None = {}

    def refresh(self) -> None:
        """Read new and changed files, and query Slurm's queue if there are jobs."""
        now, changed = time.time(), False
        self.unreadable = []
        paths = sorted(self.folder.glob("[!.]*.json"))
        for path in paths:
            changed |= self._refresh_one(path, now)
        if changed or len(paths) != len(self._read):
            self._read = {path: self._read[path] for path in paths if path in self._read}
            self._index()
        if self._job_of:
            # A job that is newer than the last answer would seem to have ended.
            self.jobs = slurm.QUEUE.jobs(newer_than_s=0.0 if changed else slurm.QUERY_EVERY_S)

    def _refresh_one(self, path: Path, now: float) -> bool:
        """Read a file if it is new or has changed, and return whether the runs or jobs of its launch are new.

        The last known content counts for a file that has become unreadable.
        """
        known = self._read.get(path)
        try:
            stamp = path.stat().st_mtime
        except OSError:  # it has just been removed, or is a link to no file
            return False
        launch = known[1] if known and known[0] == stamp else json_files.read(path, partial(_load, path))
        if isinstance(launch, Unreadable):
            self.unreadable.append(launch)
        if not isinstance(launch, Launch):
            return False
        self._read[path] = stamp, replace(launch, age_s=now - stamp)
        return known is None or known[1].jobs != launch.jobs

    def _index(self) -> None:
        self._job_of, self._local_of = {}, defaultdict(list)
        for launch in self.all():
            for key in launch.keys if launch.place != SLURM else ():
                self._local_of[key].append(launch.path)
            for job, keys in launch.jobs.items():
                self._job_of |= dict.fromkeys(keys, (launch, job))

    def all(self) -> list[Launch]:
        """Return all launches, the oldest first."""
        return [launch for _, launch in self._read.values()]

    def job_of(self, key: str) -> tuple[Launch, str] | None:
        """Return the last Slurm job of a run, with its launch; None if a later launch on a machine has the run."""
        found = self._job_of.get(key)
        local = self._local_of.get(key)
        return found if found and not (local and local[-1].stem > found[0].name) else None

    def has_run(self, key: str, names: Collection[str]) -> bool:
        """Whether a run is one of some launches on a machine."""
        return any(path.stem in names for path in self._local_of.get(key, ()))

    def supervised(self, key: str) -> bool:
        """Whether a run has a launch on a machine whose supervisor is alive."""
        return any(self._read[path][1].supervised for path in self._local_of.get(key, ()))


def _load(path: Path, content: Any) -> Launch:
    """Return the launch in a file.

    Raises:
        ValueError: when the content is not valid. Keys and ids of jobs become parts of paths.
    """
    found = json_files.checked(content, {"place": str, "keys": list, "jobs": dict}, {"owner": dict})
    keys, jobs = found["keys"], found["jobs"]
    if "owner" not in content:
        raise ValueError("it lacks owner")
    if wrong := [job for job in jobs if not JOB.fullmatch(job)]:
        raise ValueError(f"jobs must have ids of Slurm jobs, got {json_files.shown(wrong[0])}")
    if not all(isinstance(some, list) and all(map(_is_key, some)) for some in (keys, *jobs.values())):
        raise ValueError("keys, also those of jobs, must be lists of keys of runs")
    owner = Owner.from_data(found["owner"]) if "owner" in found else None
    return Launch(path, found["place"], keys, owner, jobs)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and value.isalnum()


class Ledger:
    """The file of this process's launch: written at each change, with a heartbeat until the supervisor leaves."""

    def __init__(self, root: Root, place: str, keys: Iterable[str]) -> None:
        # Sorted by time to the microsecond, because the newest launch of a run counts.
        seconds, rest = divmod(time.time_ns(), 10**9)  # read once: a second must not pass between its two parts
        clock = time.strftime("%Y%m%d-%H%M%S", time.localtime(seconds))
        name = f"{clock}-{rest // 1000:06d}-{place}-{os.getpid()}"
        self.path = root.runs / "launches" / f"{name}.json"
        self.launch = Launch(self.path, place, list(keys), Owner.current(name))
        self._write()
        self._heartbeat = Heartbeat(self.path)

    def add_jobs(self, jobs: dict[str, list[str]]) -> None:
        """Add Slurm jobs, with the keys of their runs."""
        self._write(jobs=self.launch.jobs | jobs)

    def leave(self) -> None:
        """End the supervision; submitted jobs continue. On a full disk, the end of this process is what ends it."""
        self._heartbeat.stop()
        with suppress(OSError):
            self._write(owner=None)

    def _write(self, **changes: Any) -> None:
        self.launch = replace(self.launch, **changes)
        content = {name: value for name, value in asdict(self.launch).items() if name not in ("path", "age_s")}
        write_atomically(self.path, orjson.dumps(content))
