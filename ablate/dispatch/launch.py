"""Runs to worker processes: start them, see what becomes of them, replace the dead, try again what failed.

A pool is the workers of one launch: `fleet.py` in slots of this machine, `slurm.py` in jobs, `inline.py` this process.
This folder holds the only modules that import submitit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ablate.dispatch import lease
from ablate.dispatch.data import check_data
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.notes import failure_of, note_failure
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.status import RunStatus, StatusMonitor, requested
from ablate.dispatch.worker import request
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root

POLL_S = 0.5
DIED = "WorkerDied"  # the kind of a failure that is a worker's, not its run's

Show = Callable[[list[RunStatus]], None]


class LaunchError(Exception):
    """Workers cannot be started here, or jobs not submitted."""


class WorkerPool(Protocol):
    """The workers of one launch."""

    def poll(self) -> None:
        """See which workers have ended; called before the runs are looked at."""

    def deaths(self, statuses: Sequence[RunStatus]) -> Mapping[str, str]:
        """The runs, by key, whose worker is gone without a word, and how it ended."""

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Start workers for the runs that have none; whether the runs are to be looked at again at once."""

    def stop(self) -> None:
        """Stop all workers, and wait until they have let go of their runs."""

    def finish(self) -> None:
        """See the workers off: nothing is left to train."""

    def abandon(self) -> None:
        """The launcher is interrupted: do what is right with the workers."""


def prepare(root: Root, monitor: StatusMonitor, resources: Resources, *, retry_failed: bool = False) -> list[Run]:
    """Leave a request for every run that has no record, and return these runs.

    A run whose worker died in an earlier launch is taken up again.

    Args:
        retry_failed: forget all earlier failures.

    Raises:
        SpecError: when their data is missing or cannot give what they ask for.
    """
    missing = [status.run for status in monitor.poll() if status.state != "done"]
    check_data(missing, resources.data)
    for path in monitor.stale.values():
        records.set_aside(path)
    monitor.stale.clear()
    for run in missing:
        folder = root.run_folder(run.key)
        if retry_failed or (failure_of(folder) or {}).get("kind") == DIED:
            (folder / "failure.json").unlink(missing_ok=True)
        held = lease.current(folder)
        if held is None or not held.alive:
            request(root, run, resources)
    return missing


def launch(
    root: Root, monitor: StatusMonitor, pool: WorkerPool, ledger: Ledger, show: Show, policy: RetryPolicy | None = None
) -> list[RunStatus]:
    """Have every requested run trained, here or by whoever holds it, and return what became of all runs.

    Args:
        ledger: the launch's own file.
        show: called with the state of all runs, about twice a second.
        policy: what is done about runs that fail.

    Raises:
        KeyboardInterrupt: after the workers were stopped.
    """
    policy = policy or RetryPolicy()
    try:
        while True:
            pool.poll()
            statuses = monitor.poll()
            if deaths := pool.deaths(statuses):
                _note_deaths(root, deaths, policy, ledger.launch.name)
                statuses = monitor.poll()
            if policy.release(root, statuses):
                statuses = monitor.poll()
            show(statuses)
            open_ones = [status for status in statuses if _open(monitor, policy, status)]
            if not open_ones:
                pool.finish()
                return statuses
            if policy.fail_fast and any(map(policy.given_up, statuses)):
                pool.stop()
                ledger.leave()
                return monitor.poll()
            if not pool.fill([status for status in open_ones if status.state != "failed"]):
                time.sleep(POLL_S)
    except BaseException:
        pool.abandon()
        raise
    finally:
        ledger.leave()


def _open(monitor: StatusMonitor, policy: RetryPolicy, status: RunStatus) -> bool:
    """Whether a run still has to be trained: it is at work or will be."""
    if status.state in ("waiting", "queued", "lost"):
        return requested(monitor.launches, status.run)
    return status.state == "running" or policy.pending(status)


def _note_deaths(root: Root, deaths: Mapping[str, str], policy: RetryPolicy, name: str) -> None:
    """Leave a failure note for every run whose worker is gone, unless somebody else has taken it over by now."""
    for key, cause in deaths.items():
        held = lease.Lease.acquire(root.run_folder(key), name)
        if held is not None:
            note_failure(root.run_folder(key), cause, name, kind=DIED)
            held.release()
            policy.lost.add(key)
