"""A launch that goes on without its terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._options import print_json

if TYPE_CHECKING:
    from ablate.dispatch.launch import WorkerPool
    from ablate.dispatch.ledger import Ledger
    from ablate.dispatch.retries import Policy
    from ablate.dispatch.status import StatusMonitor
    from ablate.spec.resources import Resources
    from ablate.store.root import Root

START_S = 30.0
STARTED: list[subprocess.Popen[bytes]] = []  # kept, since Python warns of processes that nobody waited for
SLURM, INLINE = "slurm", "inline"


@dataclass(frozen=True)
class LaunchPlan:
    """What a launch was asked for.

    Args:
        on: the place; see `ablate.cli._place.Place`.
        jobs: as given with --jobs.
        size: how many runs train side by side.
    """

    root: Root
    monitor: StatusMonitor
    resources: Resources
    on: str
    jobs: int | None
    size: int
    policy: Policy

    def pool(self, ledger: Ledger) -> WorkerPool:
        """Workers of that place."""
        if self.on == SLURM:
            from ablate.dispatch.slurm_pool import SlurmPool

            return SlurmPool(self.root, self.resources, ledger, self.jobs)
        if self.on == INLINE:
            from ablate.dispatch.inline import Inline

            return Inline(self.root, ledger.launch.name)
        from ablate.dispatch.local_pool import LocalPool
        from ablate.dispatch.slots import Local

        return LocalPool(Local(self.root, self.resources, ledger.launch.logs), ledger.launch.name, self.size)


def leave(plan: LaunchPlan, name: str, command: Sequence[str], *, as_json: bool) -> int:
    """Start what goes on without this terminal, and say how to follow it.

    Args:
        name: the study, as it was given.
        command: the words of an `ablate run` that supervises.
    """
    scale = next(word for word in command if word.startswith("--scale="))
    target = f"{name} {scale} --root={plan.root.path}"
    follow = [f"follow it: ablate status {target} --watch", f"end it: ablate cancel {target}"]
    return _say(submit(plan, command), follow, as_json=as_json)


def leave_all(root: Root, command: Sequence[str], *, as_json: bool) -> int:
    """Start a process that trains study after study without this terminal."""
    root.make_writable()
    told = _supervise(root, command)
    follow = [f"follow it: ablate list --root={root.path}", f"end it: kill {told['pid']}"]
    return _say(told, follow, as_json=as_json)


def submit(plan: LaunchPlan, command: Sequence[str]) -> dict[str, Any]:
    """Start what goes on without this terminal, and tell what that is.

    Jobs are submitted here, so that Slurm's refusal is seen. A supervisor of their own is needed only where something
    is to be done about failures; workers of this machine always have one.
    """
    told: dict[str, Any] = {}
    if plan.on == SLURM:
        told = _submit(plan)
    if plan.on != SLURM or plan.policy.retries or plan.policy.fail_fast:
        told |= _supervise(plan.root, command)
    return told


def _say(told: Mapping[str, Any], follow: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        print_json(told)
    else:
        for line in [*in_words(told), *follow]:
            typer.echo(line)
    return 0


def _submit(plan: LaunchPlan) -> dict[str, Any]:
    """Hand to Slurm what no job has yet."""
    from ablate.dispatch.ledger import Ledger

    statuses = [status for status in plan.monitor.poll() if status.state != "done"]
    ledger = Ledger(plan.root, plan.on, [status.run.key for status in statuses])
    plan.pool(ledger).fill(statuses)
    ledger.leave()
    return {"launch": ledger.launch.name, "jobs": ledger.launch.jobs, "logs": str(ledger.launch.logs)}


def in_words(told: Mapping[str, Any]) -> list[str]:
    """What was started, in sentences."""
    lines = []
    if "jobs" in told:
        arrays, count = dict.fromkeys(job.partition("_")[0] for job in told["jobs"]), len(told["jobs"])
        where = f" ({', '.join(arrays)}), output in {told['logs']}" if arrays else ": all runs are queued already"
        lines.append(f"{count} job{'' if count == 1 else 's'} submitted to Slurm{where}")
    if "pid" in told:
        lines.append(f"process {told['pid']} brings the runs to their end; it prints to {told['log']}")
    return lines


def _supervise(root: Root, command: Sequence[str]) -> dict[str, Any]:
    """Start the launch in a session of its own, and wait until it has begun.

    Raises:
        LaunchError: when it ends at once.
    """
    from ablate.dispatch.launch import LaunchError

    log = root.runs / "launches" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ablate", "run", *command, "--no-detach"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    STARTED.append(process)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None and not _begun(root, process.pid):
        time.sleep(0.1)
    if process.poll():
        raise LaunchError(f"the launch ended at once:\n{log.read_text(errors='replace').strip()}")
    return {"pid": process.pid, "log": str(log)}


def _begun(root: Root, pid: int) -> bool:
    """Whether a process has written down its launch."""
    from ablate.dispatch.ledger import Launches

    launches = Launches(root)
    launches.refresh()
    return any(launch.owner and launch.owner.pid == pid for launch in launches.all())
