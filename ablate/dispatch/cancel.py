"""Call runs off: what is queued is not begun, what runs writes a checkpoint and stops, and all claims are free."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from ablate.dispatch import lease, slurm
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.store.root import Root

WAIT_S = 60.0
POLL_S = 0.1
BY = "ablate cancel"


def cancel(root: Root, monitor: StatusMonitor) -> dict[str, int]:
    """Cancel what is queued or running of a monitor's runs; how many runs, jobs and workers that were.

    The requests go first, so that nobody begins a run that is called off. A Slurm job ends when all its runs are called
    off; one with other runs goes on with those.
    """
    statuses = [status for status in monitor.poll() if status.state not in ("done", "failed")]
    keys = {status.run.key for status in statuses}
    for key in keys:
        (root.run_folder(key) / "run.json").unlink(missing_ok=True)
    whole, part = _jobs(monitor, keys)
    slurm.cancel(whole)
    stopped = 0
    for status in monitor.poll():  # again: a worker may have taken a run just before its request went
        if status.run.key in keys and status.state == "running" and status.job not in whole:
            stopped += _stop(root, status, part)
    _wait(monitor, keys)
    for key in keys:
        lease.revoke(root.run_folder(key), BY)
    at_work = [status for status in statuses if status.state in ("queued", "running")]
    return {"runs": len(at_work), "jobs": len(whole), "workers": stopped}


def _jobs(monitor: StatusMonitor, keys: set[str]) -> tuple[set[str], set[str]]:
    """The live Slurm jobs of which every unfinished run is called off, and those of which only some are."""
    live = {job for job, known in (monitor.launches.jobs or {}).items() if known.live}
    whole: set[str] = set()
    part: set[str] = set()
    for launch in monitor.launches.all():
        for job, given in launch.jobs.items():
            if job not in live or not keys & set(given):
                continue
            (part if any(_wanted(monitor, key) for key in set(given) - keys) else whole).add(job)
    return whole, part


def _wanted(monitor: StatusMonitor, key: str) -> bool:
    """Whether a run, perhaps another study's, still has to be trained."""
    folder, results = monitor.root.run_folder(key), monitor.root.results
    ended = (folder / "failure.json").exists() or any(results.glob(f"*/{key}.json"))
    return (folder / "run.json").exists() and not ended


def _stop(root: Root, status: RunStatus, part: set[str]) -> int:
    """Have whoever trains a run let go of it; 1 where a worker of this machine was asked to end."""
    folder = root.run_folder(status.run.key)
    held = lease.current(folder)
    owner = held.owner if held else None
    if owner is not None and owner.is_local and not owner.job:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(owner.pid, signal.SIGTERM)
            return 1
    lease.revoke(folder, BY)
    if status.job in part:
        slurm.call(["scancel", "--signal=USR1", status.job])  # a checkpoint now: it sees that the run is not its own
    return 0


def _wait(monitor: StatusMonitor, keys: set[str]) -> None:
    """Until nobody holds one of the runs, or too long."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if not any(status.state == "running" for status in monitor.poll() if status.run.key in keys):
            return
        time.sleep(POLL_S)
