"""Cancel runs: queued ones do not start, running ones write a checkpoint and stop, and all leases are released."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from ablate.dispatch import lease, slurm
from ablate.dispatch.notes import failure_of
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.store.root import Root

WAIT_S = 60.0
POLL_S = 0.1
BY = "ablate cancel"


def cancel(root: Root, monitor: StatusMonitor) -> dict[str, int]:
    """Cancel the queued and running runs of a monitor, and return how many runs, jobs and workers these were.

    The requests are removed first, so that no worker starts a cancelled run. A Slurm job is cancelled when all its
    unfinished runs are; otherwise it continues with its other runs.
    """
    statuses = [status for status in monitor.poll() if status.state not in ("done", "failed")]
    keys = {status.run.key for status in statuses}
    for key in keys:
        (root.run_folder(key) / "run.json").unlink(missing_ok=True)
    whole, part = _jobs(monitor, keys)
    slurm.cancel(whole)
    stopped = 0
    for status in monitor.poll():  # again: a worker may have started a run just before its request was removed
        if status.run.key in keys and status.state == "running" and status.job not in whole:
            stopped += _stop(root, status, part)
    _wait(monitor, keys)
    for key in keys:
        lease.revoke(root.run_folder(key), BY)
    active = [status for status in statuses if status.state in ("queued", "running")]
    return {"runs": len(active), "jobs": len(whole), "workers": stopped}


def _jobs(monitor: StatusMonitor, keys: set[str]) -> tuple[set[str], set[str]]:
    """Return the live Slurm jobs of which all unfinished runs are cancelled, and those of which only some are."""
    live = {job for job, known in (monitor.launches.jobs or {}).items() if known.live}
    whole: set[str] = set()
    part: set[str] = set()
    for launch in monitor.launches.all():
        for job, given in launch.jobs.items():
            if job not in live or not keys & set(given):
                continue
            (part if any(_is_open(monitor, key) for key in set(given) - keys) else whole).add(job)
    return whole, part


def _is_open(monitor: StatusMonitor, key: str) -> bool:
    """Whether a run, perhaps of another study, still has to be trained."""
    folder, results = monitor.root.run_folder(key), monitor.root.results
    ended = failure_of(folder) is not None or any(results.glob(f"*/{key}.json"))
    return (folder / "run.json").exists() and not ended


def _stop(root: Root, status: RunStatus, part: set[str]) -> int:
    """Stop the worker of a run, and return 1 if it is a process on this machine, else 0."""
    folder = root.run_folder(status.run.key)
    held = lease.current(folder)
    owner = held.owner if held else None
    # Process 1 starts all others: a lease that names it is forged, or of a container, where it stops at a checkpoint.
    if owner is not None and owner.is_local and owner.is_alive and owner.pid > 1 and not owner.job:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(owner.pid, signal.SIGTERM)
            return 1
    lease.revoke(folder, BY)
    if status.job in part:
        slurm.call(
            ["scancel", "--signal=USR1", status.job]
        )  # at the checkpoint, the worker sees that it has lost the lease
    return 0


def _wait(monitor: StatusMonitor, keys: set[str]) -> None:
    """Wait until none of the runs is running, or a time limit."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if not any(status.state == "running" for status in monitor.poll() if status.run.key in keys):
            return
        time.sleep(POLL_S)
