"""The task of a Slurm job: train its runs, and requeue itself before its time limit.

A clock in the job fires before the limit. The run in training then writes a checkpoint, and the job asks Slurm to
requeue it. SIGUSR2, which a cluster may send before a preemption, does the same. On SIGTERM, Slurm ends the job, and
decides whether to restart it: not after scancel, but after a manual requeue or a preemption.
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
MARGIN_S = 120.0  # before the limit: for the last step, a checkpoint and the requeueing
MARGIN_SHARE = 0.2  # of the limit, where that is less than MARGIN_S
MARGIN = "ABLATE_MARGIN_S"
WAIT_S = 600.0
QUERY_S = 15.0  # between two queries of a job that waits for its end


def task(path: str, keys: Sequence[str], fields: Mapping[str, Any]) -> None:
    """Train runs in one process of a Slurm job.

    Args:
        path: the root.
        keys: of the job's runs.
        fields: of the job's `Resources`.
    """
    resources = Resources.from_dict(fields)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(resources.threads)
    job, restarts = slurm.own_job()
    clock = Clock(job)
    if clock.main:  # the first process watches the limit for all
        clock.start(_limit(job, resources))
    try:
        # The name has no launch: a restarted job may resume the run that it held.
        work(path, keys, f"slurm{job}r{restarts}")
    except KeyboardInterrupt:
        if clock.main and clock.over and not has_progressed(Root(Path(path)), keys, job):
            sys.exit(f"job {job} was restarted and made no progress; increase --minutes")
        clock.end()


def has_progressed(root: Root, keys: Sequence[str], job: str) -> bool:
    """Whether a job's runs have progressed since the last call; a limit may be too short for one checkpoint."""
    current = orjson.dumps([_reached(root, key) for key in keys])
    path = root.runs / "launches" / f"{job}.reached"
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, current)
    return current != before


def _reached(root: Root, key: str) -> str:
    """Return the step of a run's last checkpoint, and whether the run has ended."""
    folder = root.run_folder(key)
    steps = [path.stem.rpartition("-")[2] for path in (folder / "checkpoints").glob("*.pt")]
    ended = (folder / "failure.json").exists() or any(root.results.glob(f"*/{key}.json"))
    return f"{max(steps, default='')} {ended}"


def _limit(job: str, resources: Resources) -> float | None:
    """Return how many seconds this job may run; None without a limit."""
    return slurm.seconds_left(job) or (60.0 * resources.minutes or None)


class Clock:
    """Stops the work of this process before the time limit, and then requeues the job."""

    def __init__(self, job: str) -> None:
        self.job, self.requeues, self.over = job, False, False
        self.main = os.environ.get("SLURM_PROCID", "0") == "0"
        # SIGUSR1 requests a checkpoint during training; at other times it must not kill the process.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, self.request_requeue)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def start(self, seconds: float | None) -> None:
        """Stop the work before so many seconds have passed."""
        if seconds is None:
            return
        margin = float(os.environ.get(MARGIN) or min(MARGIN_S, MARGIN_SHARE * seconds))
        timer = threading.Timer(max(0.0, seconds - margin), self._time_is_over)
        timer.daemon = True
        timer.start()

    def _time_is_over(self) -> None:
        self.over = True
        self.request_requeue()

    def request_requeue(self, _: int = 0, __: FrameType | None = None) -> None:
        """Stop the work, so that the job is requeued."""
        self.requeues = True
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self) -> None:
        """Requeue the job if that is why the work was stopped, and wait for Slurm to end this process.

        Only the first process asks Slurm; when it ends, srun ends the others.
        """
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self.main and self.requeues and not slurm.requeue(self.job):
            sys.exit(f"Slurm did not requeue job {self.job}; launch the study again to resume")
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            time.sleep(QUERY_S)
            if self.main and slurm.state(self.job) not in ("RUNNING", None):
                break  # Slurm has decided
        sys.exit(128 + signal.SIGTERM)
