"""Queries and requests to Slurm by its commands: the queue, the time left for a job, requeueing, cancelling.

`slurm_pool` submits. Missing commands and errors of Slurm are not errors here: `Queue.jobs` is then None, not empty.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ablate.spec.processes import without_ranks

QUERY_EVERY_S = 5.0
ANSWER_S = 30.0
UNKNOWN_JOB = "Invalid job id specified"
PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "RESIZING", "SIGNALING", "STOPPED", "SUSPENDED"})


@dataclass(frozen=True)
class Job:
    """One job, or one element of an array, as Slurm reports it."""

    id: str
    state: str
    restarts: int = 0
    reason: str = ""
    nodes: str = ""

    @property
    def pending(self) -> bool:
        """Whether it waits in the queue, for the first time or again."""
        return self.state in PENDING

    @property
    def running(self) -> bool:
        """Whether its processes may exist."""
        return self.state in RUNNING

    @property
    def live(self) -> bool:
        """Whether it is pending or running."""
        return self.pending or self.running


def call(command: Sequence[str]) -> str | None:
    """Return the output of a Slurm command; None if it is missing, fails or does not answer.

    That Slurm does not know a job is an answer: its output is then empty.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 or UNKNOWN_JOB in done.stderr else None


def installed() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("squeue") is not None


def state(job: str) -> str | None:
    """Return the state of one job, of any user; "" if Slurm does not know it, None if it does not answer."""
    output = call(["squeue", "--noheader", "--jobs", job, "-o", "%T"])
    return None if output is None else output.strip()


class Queue:
    """Slurm's queue, queried at most every few seconds."""

    def __init__(self) -> None:
        self._queried = float("-inf")
        self._jobs: dict[str, Job] | None = None
        self._running: dict[str, tuple[float, bool]] = {}

    def jobs(self, *, newer_than_s: float = QUERY_EVERY_S) -> dict[str, Job] | None:
        """Return this user's jobs in the queue, by id, one per array element; None if Slurm does not answer."""
        if time.monotonic() - self._queried > newer_than_s:
            fields = "JobArrayID:|,State:|,RestartCnt:|,Reason:|,NodeList:|"
            output = call(["squeue", "--me", "--noheader", "--array", "-O", fields])
            self._jobs = None if output is None else {job.id: job for job in map(_job, output.splitlines()) if job}
            self._queried = time.monotonic()
        return self._jobs

    def shows_running(self, job: str) -> bool:
        """Whether Slurm shows a job, of any user, as running; clusters may hide the jobs of others."""
        when, running = self._running.get(job, (float("-inf"), False))
        if time.monotonic() - when > QUERY_EVERY_S:
            running = state(job) in RUNNING
            self._running[job] = time.monotonic(), running
        return running


QUEUE = Queue()


def _job(line: str) -> Job | None:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) < 5 or not parts[2].isdigit():
        return None
    return Job(parts[0], parts[1], int(parts[2]), parts[3], parts[4])


def ended(ids: Collection[str]) -> dict[str, str]:
    """Return how jobs ended, by id, such as "FAILED, exit code 9:0"; only the jobs that accounting knows."""
    if not ids:
        return {}
    output = call(["sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode", "-j", ",".join(sorted(ids))])
    found = {}
    for line in (output or "").splitlines():
        name, state, code = [*line.split("|"), "", ""][:3]
        found[name] = state if code == "0:0" else f"{state}, exit code {code}"
    return found


def own_job() -> tuple[str, int]:
    """Return the id of this process's job, and how often Slurm has restarted it; "" outside of Slurm."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
    return job, int(os.environ.get("SLURM_RESTART_COUNT", 0))


def seconds_left(job: str) -> float | None:
    """Return how many seconds a job may still run; None without a limit, or if Slurm does not answer."""
    output = call(["squeue", "--noheader", "--jobs", job, "-o", "%L"])
    days, hours, minutes, seconds = [*([None] * 4), *_clock((output or "").strip())][-4:]
    if seconds is None:
        return None
    return ((days or 0) * 24 + (hours or 0)) * 3600.0 + (minutes or 0) * 60 + seconds


def _clock(text: str) -> list[int]:
    """Return the numbers of a time such as 1-02:03:04; none if the text is not a time."""
    return [int(number) for number in re.split("[-:]", text)] if re.fullmatch(r"[\d:-]+", text) else []


def requeue(job: str) -> bool:
    """Requeue a job, and return whether Slurm accepted that: it stops the job now and restarts it later.

    The command ignores SIGTERM, because Slurm sends that to every process of the job, this one included.
    """
    command = ["scontrol", "requeue", job]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    return process.wait() == 0


def cancel(ids: Collection[str]) -> bool:
    """Cancel jobs, and return whether Slurm accepted that."""
    return not ids or call(["scancel", *sorted(ids)]) is not None


def max_array_size() -> int:
    """Return the longest array that Slurm accepts; its default if it does not answer, 1 if arrays are disabled."""
    answer = call(["scontrol", "show", "config"]) or ""
    longest = re.search(r"^MaxArraySize\s*=\s*(\d+)", answer, re.MULTILINE)
    tasks = re.search(r"^SchedulerParameters\s*=.*\bmax_array_tasks=(\d+)", answer, re.MULTILINE)
    return max(1, min([int(found[1]) for found in (longest, tasks) if found], default=1001))


def most_minutes(partition: str = "") -> int | None:
    """Return the longest time limit of a partition, of the default one without a name; None if there is no limit.

    None also if Slurm does not answer.
    """
    for line in (call(["scontrol", "show", "partition", "--oneliner", *filter(None, [partition])]) or "").splitlines():
        found = re.search(r"\bMaxTime=([\d:-]+)", line)
        if found and (partition or "Default=YES" in line.split()):
            days, hours, minutes, _ = [0, 0, 0, 0, *_clock(found[1])][-4:]
            return (days * 24 + hours) * 60 + minutes
    return None


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables of an allocation, such as that of salloc; SLURM_CONF is kept.

    An inherited SLURM_CPU_BIND would bind the threads of a job to cores of the old allocation, and SBATCH_ variables
    would override our options.
    """
    return {
        name: value
        for name, value in without_ranks(environment).items()
        if name == "SLURM_CONF" or not name.startswith(("SLURM_", "SLURMD_", "SBATCH_", "SRUN_"))
    }
