"""What is asked of Slurm by its commands: which jobs there are, how long this one has, to be queued again.

Submitting is the launcher's business. Where Slurm's commands are missing or do not answer, nothing is known, and that
is no error: `jobs` is None then, not empty.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

ASK_EVERY_S = 5.0
ANSWER_S = 30.0
PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "SUSPENDED"})
RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "RESIZING", "SIGNALING", "STOPPED"})


@dataclass(frozen=True)
class Job:
    """One job, or one element of an array, as Slurm tells it."""

    id: str
    state: str
    restarts: int = 0
    reason: str = ""
    nodes: str = ""

    @property
    def pending(self) -> bool:
        """Whether it waits for its turn, the first or another one."""
        return self.state in PENDING

    @property
    def running(self) -> bool:
        """Whether its processes may be there."""
        return self.state in RUNNING

    @property
    def live(self) -> bool:
        """Whether it may still work."""
        return self.pending or self.running


def call(words: Sequence[str]) -> str | None:
    """What a command of Slurm's prints; None when it is missing, fails or does not answer."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


class Queue:
    """Slurm's queue, asked at most every few seconds."""

    def __init__(self) -> None:
        self._asked = float("-inf")
        self._jobs: dict[str, Job] | None = None

    def jobs(self, *, newer_than_s: float = ASK_EVERY_S) -> dict[str, Job] | None:
        """The jobs of this user in the queue by id, array elements each; None when Slurm does not answer."""
        if time.monotonic() - self._asked > newer_than_s:
            fields = "JobArrayID:|,State:|,RestartCnt:|,Reason:|,NodeList:|"
            said = call(["squeue", "--me", "--noheader", "--array", "-O", fields])
            self._jobs = None if said is None else {job.id: job for job in map(_job, said.splitlines()) if job}
            self._asked = time.monotonic()
        return self._jobs


QUEUE = Queue()


def _job(line: str) -> Job | None:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) < 5 or not parts[2].isdigit():
        return None
    return Job(parts[0], parts[1], int(parts[2]), parts[3], parts[4])


def ended(ids: Collection[str]) -> dict[str, str]:
    """How jobs ended, by id, as accounting tells it: "FAILED 9:0". What it does not know is left out."""
    if not ids:
        return {}
    said = call(["sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode", "-j", ",".join(sorted(ids))])
    found = {}
    for line in (said or "").splitlines():
        name, state, code = [*line.split("|"), "", ""][:3]
        found[name] = state if code == "0:0" else f"{state}, exit code {code}"
    return found


def own_job() -> tuple[str, int]:
    """The id of the job this process runs in, and how often Slurm has started it again; "" outside of Slurm."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
    return job, int(os.environ.get("SLURM_RESTART_COUNT", 0))


def seconds_left(job: str) -> float | None:
    """How long a job may still run; None where there is no limit or Slurm does not answer."""
    said = call(["squeue", "--noheader", "--jobs", job, "-o", "%L"])
    days, hours, minutes, seconds = [*([None] * 4), *_clock((said or "").strip())][-4:]
    if seconds is None:
        return None
    return ((days or 0) * 24 + (hours or 0)) * 3600.0 + (minutes or 0) * 60 + seconds


def _clock(text: str) -> list[int]:
    """The numbers of 1-02:03:04, from days to seconds; none where the text is no time."""
    return [int(number) for number in re.split("[-:]", text)] if re.fullmatch(r"[\d:-]+", text) else []


def requeue(job: str) -> bool:
    """Have a job queued again: Slurm stops its processes and starts it anew later.

    The command runs where no SIGTERM reaches it: Slurm ends every process of the job as soon as it hears it.
    """
    words = ["scontrol", "requeue", job]
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    return process.wait() == 0


def cancel(ids: Collection[str]) -> bool:
    """Cancel jobs; whether Slurm took it."""
    return not ids or call(["scancel", *sorted(ids)]) is not None


def max_array_size() -> int:
    """The longest array Slurm takes: its own default where it does not say; 1 where it takes none."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", call(["scontrol", "show", "config"]) or "", re.MULTILINE)
    return max(1, int(found.group(1))) if found else 1001


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what an allocation, such as salloc's, left in it; the place of Slurm's settings stays.

    Inherited, SLURM_CPU_BIND ties a job's threads to cores of the old allocation, and SBATCH_ variables override what
    is asked for.
    """
    return {
        name: value
        for name, value in environment.items()
        if name == "SLURM_CONF" or not name.startswith(("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "PMI_", "PMIX_"))
    }
