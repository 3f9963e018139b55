"""A launch: start workers for runs, watch them, replace dead workers, retry failed runs.

The workers of a launch form a pool: slots of this machine (`local_pool.py`), Slurm jobs (`slurm_pool.py`), or this
process (`inline.py`). Only this package imports submitit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from ablate.dispatch import lease
from ablate.dispatch.data import check_data
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.notes import failure_of, note_failure
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.status import SETTLED, TO_TRAIN, RunStatus, StatusMonitor, requested
from ablate.dispatch.worker import request
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import cache, records
from ablate.store.root import Root

LOG = logging.getLogger("ablate")
POLL_S = 0.5
DIED = "WorkerDied"  # the kind of a failure whose cause is the worker, not the run

Show = Callable[[list[RunStatus]], None]


class LaunchError(Exception):
    """Workers cannot be started."""


class WorkerPool(Protocol):
    """The workers of one launch."""

    def poll(self) -> None:
        """Check which workers have ended; called before the states of the runs are read."""

    def deaths(self, statuses: Sequence[RunStatus]) -> Mapping[str, str]:
        """Return how the worker of each run ended that lost its worker, by the key of the run."""

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Start workers for the runs that have none, and return whether to read the states again at once."""

    def stop(self) -> None:
        """Stop all workers, and wait until they have released their runs."""

    def finish(self) -> None:
        """End the workers: all runs are trained."""

    def abandon(self) -> None:
        """Stop or leave the workers, because the launch was interrupted."""


def prepare(root: Root, monitor: StatusMonitor, resources: Resources, *, retry_failed: bool = False) -> list[Run]:
    """Write a request for every run without a record, and return these runs.

    A run whose worker died in an earlier launch is trained again.

    Args:
        retry_failed: also train runs again that failed in an earlier launch.

    Raises:
        SpecError: when their dataset is missing or does not fit them.
    """
    if monitor.stale:
        with cache.bypassed():
            monitor.read_records()
    missing = [status.run for status in monitor.poll() if status.state not in SETTLED]
    check_data(missing, resources.data)
    _set_aside(monitor)
    for run in missing:
        folder = root.run_folder(run.key)
        if retry_failed or (failure_of(folder) or {}).get("kind") == DIED:
            (folder / "failure.json").unlink(missing_ok=True)
        held = lease.current(folder)
        if held is None or not held.alive:
            request(root, run, resources)
    return missing


def _set_aside(monitor: StatusMonitor) -> None:
    """Rename the records of other data, and tell which and why."""
    for path in monitor.stale.values():
        with suppress(FileNotFoundError):  # another launcher has done it
            record, kept = records.read(path), records.set_aside(path)
            name = str(record.run["dataset"])
            LOG.warning(
                "the record %s (top-1 %.2f %%) is of other data: its fingerprint is %s, that of %s is %s; set aside as "
                "%s, and the run is trained again",
                *(path, record.metrics["top1"], record.dataset["fingerprint"], name, monitor.present[name], kept.name),
            )
    monitor.stale.clear()


def launch(
    root: Root, monitor: StatusMonitor, pool: WorkerPool, ledger: Ledger, show: Show, policy: RetryPolicy | None = None
) -> list[RunStatus]:
    """Train every requested run, or wait for the worker that holds it, and return the final state of all runs.

    Args:
        ledger: the file of this launch.
        show: called with the state of all runs, about twice a second.
        policy: what to do about failed runs.

    Raises:
        KeyboardInterrupt: after the workers were stopped; Slurm jobs continue.
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
    """Whether a run is running, or still has to be trained."""
    if status.state in TO_TRAIN:
        return requested(monitor.launches, status.run)
    return status.state == "running" or policy.pending(status)


def _note_deaths(root: Root, deaths: Mapping[str, str], policy: RetryPolicy, name: str) -> None:
    """Write a failure note for every run whose worker died, unless another worker has already taken it over."""
    for key, cause in deaths.items():
        held = lease.Lease.acquire(root.run_folder(key), name)
        if held is not None:
            note_failure(root.run_folder(key), cause, name, kind=DIED)
            held.release()
            policy.lost.add(key)
