"""Workers on this machine, one per slot: a process or a process group, with its own GPUs and its share of the cores."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ablate.dispatch.notes import LOG_TAIL
from ablate.dispatch.slurm import scrubbed
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.store.root import Root


class LocalWorker:
    """A process in a session of its own, so that it outlives the launcher's terminal and takes its children along."""

    def __init__(self, name: str, slot: int, process: subprocess.Popen[str], log: Path) -> None:
        self.name, self.slot, self._process, self._log = name, slot, process, log

    def alive(self) -> bool:
        """Whether its process runs; what it leaves behind when it ends is ended too."""
        if self._process.poll() is None:
            return True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return False

    def returned(self) -> bool:
        """Whether it came to the end of its list."""
        return self._process.poll() == 0

    def stop(self) -> None:
        """Ask it to write a checkpoint, let go of its run and end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it, and all it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def cause(self) -> str:
        """How it ended, in words."""
        code = self._process.poll() or 0
        number = -code if code < 0 else code - 128
        if number == signal.SIGKILL:
            return "the worker process was killed by SIGKILL (by hand, or for lack of memory)"
        try:
            return f"the worker process was ended by {signal.Signals(number).name}"
        except ValueError:
            return f"the worker process ended with exit code {code}"

    def said(self) -> str:
        """The last lines it printed."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-LOG_TAIL:])


class Local:
    """Slots on this machine.

    submitit's local executor is not used: it has no queue, gives every job the first GPU, and waits for all processes
    of a run when one has died.
    """

    def __init__(self, root: Root, resources: Resources, logs: Path) -> None:
        self.root, self.resources, self.logs = root, resources, logs
        self.gpus = gpus() if _wants_gpus(resources) else []

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
        with suppress(BrokenPipeError):  # it died at once: that is seen when it is looked at
            process.stdin.write(json.dumps(list(keys)))
            process.stdin.close()
        return LocalWorker(name, slot, process, path)

    def command(self, name: str) -> list[str]:
        """The words that start a worker."""
        words = [sys.executable, "-m", "ablate.dispatch.process_group"]
        return [*words, str(self.root.path), name, str(self.resources.gpus_per_run)]

    def _environment(self, slot: int) -> dict[str, str]:
        """The GPUs of a slot, and as many threads as its share: libraries would else take all cores each."""
        threads, each = str(self.resources.threads), self.resources.gpus_per_run
        count = max(1, len(self.gpus) // each)
        own = self.gpus[slot % count * each :][:each]
        return scrubbed(os.environ) | {
            "CUDA_VISIBLE_DEVICES": ",".join(own),
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }


def _wants_gpus(resources: Resources) -> bool:
    return resources.device == "auto" or resources.device.startswith("cuda")


def gpus() -> list[str]:
    """The CUDA devices of this machine that may be used, by index or name, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def slots(resources: Resources, jobs: int | None = None) -> int:
    """How many runs train side by side: as asked, else as many as have GPUs of their own, else cores over threads.

    Raises:
        SpecError: when a run wants more than this machine has.
    """
    if resources.nodes > 1:
        raise SpecError(f"nodes is {resources.nodes}; this machine is one: wanted is 1, or --on slurm")
    each, cores = resources.gpus_per_run, _cores()
    found = len(gpus()) if _wants_gpus(resources) else 0
    if 0 < found < each:
        raise SpecError(f"gpus_per_run is {each}; this machine has {found}")
    if jobs is not None:
        if jobs < 1:
            raise SpecError(f"--jobs is {jobs}; wanted is 1 or more")
        return jobs
    return found // each or max(1, cores // (resources.threads * each))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
