"""What a Slurm job does: work through its runs, and be queued again before its time is over.

A clock of its own tells the job when its limit is near. It then has the run in training write a checkpoint, and asks
Slurm to queue it again. Preemption says the same by SIGUSR2. SIGTERM is Slurm ending the job, which Slurm decides
about: scancel ends it for good, a requeue by hand or a preemption starts it again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

from ablate.dispatch import slurm
from ablate.dispatch.worker import work
from ablate.spec.resources import Resources
from ablate.store.root import Root, write_atomically

LOG = logging.getLogger("ablate")
MARGIN_S = 120.0  # before the limit, for the last step, a checkpoint and Slurm
MARGIN_SHARE = 0.2  # of a limit so short that MARGIN_S would be most of it
MARGIN = "ABLATE_MARGIN_S"
WAIT_S = 600.0
ASK_S = 2.0


def task(path: str, keys: Sequence[str], fields: Mapping[str, Any]) -> None:
    """Work in a Slurm job, in one of its processes.

    Args:
        path: the root.
        keys: of the runs this job is to bring to their end.
        fields: of the `Resources` it was submitted with.
    """
    resources = Resources.from_dict(fields)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(resources.threads)
    job, restarts = slurm.own_job()
    clock = Clock(job)
    clock.start(_limit(job, resources))
    try:
        # No mates: what a job held when Slurm stopped it is its own to go on with.
        work(path, keys, f"slurm{job}r{restarts}")
    except KeyboardInterrupt:
        if clock.main and clock.over and not came_further(Root(Path(path)), keys, job):
            sys.exit(f"job {job} was started twice and came no further; give it more --minutes")
        clock.end()


def came_further(root: Root, keys: Sequence[str], job: str) -> bool:
    """Whether a job's runs have come further since the job last asked this; a limit may be too short for a step."""
    now = orjson.dumps([_reached(root, key) for key in keys])
    path = root.runs / "launches" / f"{job}.reached"
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, now)
    return now != before


def _reached(root: Root, key: str) -> str:
    """How far a run has come: its last checkpoint's step, and whether it is over."""
    folder = root.run_folder(key)
    steps = [path.stem.rpartition("-")[2] for path in (folder / "checkpoints").glob("*.pt")]
    ended = (folder / "failure.json").exists() or any(root.results.glob(f"*/{key}.json"))
    return f"{max(steps, default='')} {ended}"


def _limit(job: str, resources: Resources) -> float | None:
    """Seconds this job may run, None without a limit."""
    return slurm.seconds_left(job) or (60.0 * resources.minutes or None)


class Clock:
    """Stops this process's work in time, and knows what comes after."""

    def __init__(self, job: str) -> None:
        self.job, self.again, self.over = job, False, False
        self.main = os.environ.get("SLURM_PROCID", "0") == "0"
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it asks a run in training for a checkpoint, and must not kill
        signal.signal(signal.SIGUSR2, self.ask_again)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def start(self, seconds: float | None) -> None:
        """Stop the work some time before so many seconds have passed; the first process decides for all."""
        if seconds is None or not self.main:
            return
        margin = float(os.environ.get(MARGIN) or min(MARGIN_S, MARGIN_SHARE * seconds))
        timer = threading.Timer(max(0.0, seconds - margin), self._time_is_over)
        timer.daemon = True
        timer.start()

    def _time_is_over(self) -> None:
        self.over = True
        self.ask_again()

    def ask_again(self, _: int = 0, __: FrameType | None = None) -> None:
        """Have the work stopped, to be queued again."""
        self.again = True
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self) -> None:
        """The work was stopped: be queued again where that was the reason, and wait for Slurm to end this process."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self.main and self.again and not slurm.requeue(self.job):
            sys.exit(f"Slurm does not queue job {self.job} again; launch the study again to go on")
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            time.sleep(ASK_S)
            jobs = slurm.QUEUE.jobs(newer_than_s=0.0)
            if jobs is not None and (self.job not in jobs or jobs[self.job].state != "RUNNING"):
                break  # Slurm has decided; there is nothing to wait for
        sys.exit(128 + signal.SIGTERM)
