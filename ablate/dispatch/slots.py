"""Workers on this machine, one per slot: a process or a process group with its own GPUs and share of the cores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ablate.dispatch.notes import LOG_TAIL
from ablate.dispatch.slurm import scrubbed
from ablate.spec.errors import SpecError
from ablate.spec.processes import command
from ablate.spec.resources import Resources
from ablate.store.root import Root
from ablate.train import devices

PROCESS = "ablate.dispatch.process_group"


class LocalWorker:
    """A process in its own session, so that it outlives the terminal, and its children can be killed with it."""

    def __init__(self, name: str, slot: int, process: subprocess.Popen[str], log: Path) -> None:
        self.name, self.slot, self._process, self._log = name, slot, process, log

    def alive(self) -> bool:
        """Whether its process exists; if not, its remaining children are killed."""
        if self._process.poll() is None:
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return False

    def returned(self) -> bool:
        """Whether it has finished its list."""
        return self._process.poll() == 0

    def stop(self) -> None:
        """Request its end, after a checkpoint."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill it and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def cause(self) -> str:
        """Return how it ended."""
        code = self._process.poll() or 0
        number = -code if code < 0 else code - 128
        if number == signal.SIGKILL:
            return "the worker process was killed by SIGKILL (by a user, or because memory ran out)"
        try:
            return f"the worker process was ended by {signal.Signals(number).name}"
        except ValueError:
            return f"the worker process ended with exit code {code}"

    def last_lines(self) -> str:
        """Return the last lines of its output."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-LOG_TAIL:])


class Local:
    """The slots of this machine.

    The local executor of submitit is not used: it has no queue, gives the first GPU to every job, and waits for all
    processes of a job when one has died.
    """

    def __init__(self, root: Root, resources: Resources, logs: Path) -> None:
        self.root, self.resources, self.logs = root, resources, logs
        self.gpus = devices.gpus(resources.device) if resources.uses_cuda else []

    def start(self, name: str, slot: int, keys: Sequence[str]) -> LocalWorker:
        """Start a worker on a list of runs."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name.rpartition('-')[2]}.log"
        with open(path, "ab") as log:
            process = subprocess.Popen(
                self.command(name),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(slot),
                start_new_session=True,
                text=True,
            )
        assert process.stdin
        with suppress(BrokenPipeError):  # it died at once; `alive` will show it
            process.stdin.write(json.dumps(list(keys)))
            process.stdin.close()
        return LocalWorker(name, slot, process, path)

    def command(self, name: str) -> list[str]:
        """Return the command that starts a worker."""
        return command(PROCESS, str(self.root.path), name, str(self.resources.gpus_per_run))

    def _environment(self, slot: int) -> dict[str, str]:
        """Return the environment of a slot: its GPUs and number of threads; libraries use all cores by default."""
        threads, each = str(self.resources.threads), self.resources.gpus_per_run
        count = max(1, len(self.gpus) // each)
        own = ",".join(self.gpus[slot % count * each :][:each])
        # A device such as cuda:1 counts among all GPUs that the launcher sees.
        limit = {} if self.resources.device_index is not None else {devices.limiting(): own}
        return (
            scrubbed(os.environ)
            | limit
            | {
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
            }
        )


def slots(resources: Resources, jobs: int | None = None) -> int:
    """Return how many runs train side by side: `jobs` if given, else one per GPU of a run, else cores over threads.

    Raises:
        SpecError: when a run needs more than this machine has.
    """
    if resources.nodes > 1:
        raise SpecError(f"nodes must be 1 on this machine, got {resources.nodes}; use --on slurm")
    devices.check(resources.device)
    each, cores, found = resources.gpus_per_run, _cores(), _gpus(resources)
    if 0 < found < each:
        raise SpecError(f"gpus_per_run must be at most {found}, the GPUs of this machine, got {each}")
    if jobs is not None:
        if jobs < 1:
            raise SpecError(f"--jobs must be 1 or more, got {jobs}")
        return jobs
    return found // each or max(1, cores // (resources.threads * each))


def _gpus(resources: Resources) -> int:
    """Return how many GPUs the slots share."""
    if resources.device == "mps" or resources.device_index is not None:
        return 1
    return len(devices.gpus(resources.device)) if resources.uses_cuda else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
