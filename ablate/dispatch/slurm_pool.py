"""The workers of one launch as arrays of Slurm jobs, submitted by submitit's Slurm executor.

Requeueing by submitit is not used. A job that Slurm restarts, for whatever reason, begins with its first list of runs,
skips those with a record, and resumes from our checkpoints; see `slurm_task.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from ablate.dispatch import slurm
from ablate.dispatch.grouping import Grouping, group
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.slurm_task import task
from ablate.dispatch.status import RunStatus, with_exit_reason
from ablate.spec import sbatch
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.store.root import Root

SIGNAL_BEFORE_S = 1  # the signal is for preemption; the job's own clock watches the limit


class Submit(Protocol):
    """Submits one array, given its parameters and the arguments of `task` per element; returns the ids of its jobs."""

    def __call__(
        self, parameters: Mapping[str, Any], folder: Path, arguments: Sequence[tuple[Any, ...]]
    ) -> Sequence[str]: ...


class SlurmPool:
    """A pool of Slurm jobs, each with a slice of the runs.

    Args:
        jobs: how many may run side by side; None leaves that to Slurm.
        submit: replaces submitit in tests.
    """

    def __init__(
        self, root: Root, resources: Resources, ledger: Ledger, jobs: int | None = None, submit: Submit | None = None
    ) -> None:
        self.root, self.resources, self.ledger, self.jobs = root, resources, ledger, jobs
        self.submit = submit or by_submitit
        self.mine: set[str] = set()
        self.noted: set[tuple[str, str]] = set()
        self.grouping: Grouping | None = None  # of the runs that were submitted last

    def poll(self) -> None:
        """Do nothing: the status monitor queries Slurm."""

    def deaths(self, statuses: Sequence[RunStatus]) -> dict[str, str]:
        """Return how the job of each run ended that ended without a result, by the key of the run.

        The runs that a job did not try, after it had begun others, are no deaths: `fill` submits them again.
        """
        self.mine |= {status.job for status in statuses if status.job and status.state in ("queued", "running")}
        begun = {status.run.key for status in statuses if status.state in ("done", "failed") or status.worker}
        lost = [
            status
            for status in statuses
            if status.state == "lost"
            and status.job in self.mine
            and (status.worker or not begun.intersection(self._keys(status.job)))
        ]
        new = [status for status in lost if (status.run.key, status.job) not in self.noted]
        self.noted |= {(status.run.key, status.job) for status in new}
        return {status.run.key: status.error for status in with_exit_reason(new)}

    def _keys(self, job: str) -> list[str]:
        return self.ledger.launch.jobs.get(job, [])

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Submit the runs that have no job.

        Raises:
            SpecError: when Slurm rejects them.
        """
        runs = [status.run for status in statuses if status.state in ("waiting", "lost", "unreadable")]
        if not runs:
            return False
        self.grouping = group(self.root, runs, self.resources)
        before, submitted = "", 0
        for array in arrays(self.grouping.slices):
            try:
                before = self._submit_array(array, before, self.grouping.limit)
            except SpecError as error:
                left = f"; {submitted} of {len(runs)} runs were submitted, the same command submits the rest"
                raise SpecError(f"{error}{left if submitted else ''}") from None
            submitted += sum(map(len, array))
        return False

    def _submit_array(self, slices: Sequence[Sequence[str]], before: str, minutes: int) -> str:
        """Submit one array and return its id; if jobs are limited, it waits for the array before."""
        options = parameters(self.resources, self.jobs, before if self.jobs else "", minutes)
        arguments = [(str(self.root.path), list(keys), self.resources.to_dict()) for keys in slices]
        with _environment(slurm.scrubbed(os.environ)):
            ids = self.submit(options, self.ledger.launch.logs, arguments)
        self.mine |= set(ids)
        self.ledger.add_jobs({job: list(keys) for job, keys in zip(ids, slices, strict=True)})
        return ids[0].partition("_")[0]

    def stop(self) -> None:
        """Cancel the jobs."""
        slurm.cancel(self.mine)

    def finish(self) -> None:
        """Do nothing: jobs end with their last run."""

    def abandon(self) -> None:
        """Leave the jobs to Slurm; `ablate cancel` ends them."""


def arrays(slices: Sequence[Sequence[str]]) -> list[Sequence[Sequence[str]]]:
    """Return arrays of jobs, each with its slice of the runs; no array is longer than Slurm accepts."""
    longest = slurm.max_array_size() if len(slices) > 1 else 1
    return [slices[at : at + longest] for at in range(0, len(slices), longest)]


def parameters(
    resources: Resources, jobs: int | None = None, before: str = "", minutes: int | None = None
) -> dict[str, Any]:
    """Return the parameters of submitit's Slurm executor.

    Args:
        jobs: how many jobs of an array may run side by side.
        before: an array to wait for.
        minutes: time limit of a job; None takes that of the resources.
    """
    # --slurm gres=gpu:TYPE:COUNT replaces the request for any GPUs.
    gpus = resources.uses_cuda and not sbatch.gpus_in(resources.slurm.get("gres", ""))
    cpus = resources.cpus or resources.threads + resources.workers
    more: dict[str, Any] = {name: value or True for name, value in resources.slurm.items()}
    if resources.memory:
        more["mem"] = resources.memory
    if before:
        more["dependency"] = ",".join(filter(None, (resources.slurm.get("dependency"), f"afterany:{before}")))
    return {
        "job_name": more.pop("job-name", "ablate"),
        "time": (resources.minutes if minutes is None else minutes) or None,
        "nodes": resources.nodes,
        "ntasks_per_node": resources.gpus_per_run,
        "cpus_per_task": cpus,
        "gpus_per_node": resources.gpus_per_run if gpus else None,
        "partition": resources.partition or None,
        "account": resources.account or None,
        "qos": resources.qos or None,
        "constraint": resources.constraint or None,
        "array_parallelism": jobs or slurm.max_array_size(),
        "signal_delay_s": SIGNAL_BEFORE_S,
        "stderr_to_stdout": True,
        # A run cannot continue without one of its processes; and srun does not inherit the CPUs from sbatch.
        "srun_args": ["--kill-on-bad-exit=1", f"--cpus-per-task={cpus}"],
        "additional_parameters": {"requeue": True, **more},
    }


def by_submitit(parameters: Mapping[str, Any], folder: Path, arguments: Sequence[tuple[Any, ...]]) -> Sequence[str]:
    """Submit an array by submitit's Slurm executor, and return the ids of its jobs.

    Raises:
        SpecError: when there is no Slurm, or it rejects the jobs.
    """
    import submitit
    from submitit.core.utils import FailedJobError

    try:
        executor = submitit.SlurmExecutor(folder)
        executor.update_parameters(**with_output(parameters, folder, len(arguments)))
        with redirect_stderr(StringIO()):  # submitit also prints the output of sbatch
            return [job.job_id for job in executor.map_array(task, *zip(*arguments, strict=True))]
    except FailedJobError as error:
        messages = re.findall(r"^sbatch: (?:error: |fatal: )?(.*)$", str(error), re.MULTILINE)
        raise SpecError(f"Slurm rejected the jobs: {'; '.join(dict.fromkeys(messages)) or error}") from None
    except (RuntimeError, FileNotFoundError) as error:
        raise SpecError(f"--on slurm needs the Slurm commands on this machine: {error}") from None


def with_output(parameters: Mapping[str, Any], folder: Path, jobs: int) -> dict[str, Any]:
    """Return the parameters with files for the output; a % in their folder is not a pattern of Slurm.

    Raises:
        SpecError: when the folder has a pattern of submitit, or a backslash, which turns off all patterns.
    """
    if found := re.search(r"%[jtaA]|\\", str(folder)):
        raise SpecError(f"the root must not contain {found[0]} with --on slurm, got {folder}; choose another --root")
    name = "%j" if jobs == 1 else "%A_%a"
    escaped = str(folder).replace("%", "%%")
    more = dict(parameters.get("additional_parameters", {})) | {"output": f"{escaped}/{name}_0_log.out"}
    # srun has this option twice; the last one counts.
    arguments = [*parameters.get("srun_args", ()), f"--output={escaped}/{name}_%t_log.out"]
    return {**parameters, "additional_parameters": more, "srun_args": arguments}


@contextmanager
def _environment(content: Mapping[str, str]) -> Iterator[None]:
    """Replace the environment, which child processes inherit, for a moment."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(content)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
