"""Launches that run in the background: jobs left to Slurm, and a process that supervises the rest."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ablate.dispatch.launch import LaunchError
from ablate.dispatch.ledger import Launches
from ablate.dispatch.plan import LaunchPlan, Place
from ablate.dispatch.status import SETTLED
from ablate.spec.processes import command, without_ranks
from ablate.store.root import Root

START_S = 30.0
STARTED: list[subprocess.Popen[bytes]] = []  # Python warns when a process object is deleted before it was waited for


@dataclass(frozen=True)
class Detached:
    """What was started in the background.

    Args:
        launch: name of the launch whose jobs were submitted; None where none were.
        jobs: the keys of the runs of each Slurm job, by its id.
        logs: the folder of their output.
        grouping: which runs share a job, in sentences.
        pid: of the supervising process; None where there is none.
        log: the file with its output.
    """

    launch: str | None = None
    jobs: Mapping[str, list[str]] | None = None
    logs: str | None = None
    grouping: tuple[str, ...] | None = None
    pid: int | None = None
    log: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Return what was started, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def detach(plan: LaunchPlan, arguments: Sequence[str]) -> Detached:
    """Start a launch in the background.

    Jobs are submitted by this process, so that the caller sees an error of Slurm. They get a supervising process only
    where failures have consequences; local workers always have one.

    Args:
        arguments: of the `ablate run` that supervises.

    Raises:
        LaunchError: when the supervising process ends at once.
        SpecError: when Slurm rejects the jobs.
    """
    submitted = _submit(plan) if plan.place is Place.slurm else {}
    if plan.place is not Place.slurm or plan.policy.max_retries or plan.policy.fail_fast:
        submitted |= supervise(plan.root, arguments).as_data()
    return Detached(**submitted)


def _submit(plan: LaunchPlan) -> dict[str, Any]:
    """Submit the runs that no job has."""
    statuses = [status for status in plan.monitor.poll() if status.state not in SETTLED]
    ledger = plan.ledger([status.run.key for status in statuses])
    pool = plan.slurm_pool(ledger)
    try:
        pool.fill(statuses)
    finally:
        ledger.leave()
    launch, grouping = ledger.launch, tuple(pool.grouping.sentences()) if pool.grouping else None
    return {"launch": launch.name, "jobs": launch.jobs, "logs": str(launch.logs), "grouping": grouping}


def supervise(root: Root, arguments: Sequence[str]) -> Detached:
    """Start `ablate run` in a session of its own, and wait until its launch has begun.

    Raises:
        LaunchError: when the process ends at once.
    """
    log = root.runs / "launches" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        process = subprocess.Popen(
            command("ablate", "run", *arguments, "--no-detach"),
            env=without_ranks(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    STARTED.append(process)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None and not _has_begun(root, process.pid):
        time.sleep(0.1)
    if process.poll():
        raise LaunchError(f"the launch ended at once:\n{log.read_text(errors='replace').strip()}")
    return Detached(pid=process.pid, log=str(log))


def _has_begun(root: Root, pid: int) -> bool:
    """Whether a process has written the ledger of its launch."""
    launches = Launches(root)
    launches.refresh()
    return any(launch.owner and launch.owner.pid == pid for launch in launches.all())
