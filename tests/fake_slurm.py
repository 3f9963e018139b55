"""A simulation of Slurm: it accepts arrays, answers commands, and runs a job when a test requests it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablate.dispatch import worker
from ablate.dispatch.slurm import Job


@dataclass
class FakeSlurm:
    """The cluster, and the requests it received.

    Args:
        longest: the longest array it takes.
    """

    longest: int = 1001

    def __post_init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.gone: dict[str, str] = {}
        self.arguments: dict[str, tuple[Any, ...]] = {}
        self.submissions: list[Mapping[str, Any]] = []
        self.silent = False

    def submit(
        self, parameters: Mapping[str, Any], folder: Path, arguments: Sequence[tuple[Any, ...]]
    ) -> Sequence[str]:
        """Take an array, as submitit would hand it over."""
        number = 100 + len(self.submissions)
        self.submissions.append(parameters)
        ids = [f"{number}_{at}" for at in range(len(arguments))] if len(arguments) > 1 else [str(number)]
        for name, given in zip(ids, arguments, strict=True):
            self.jobs[name], self.arguments[name] = Job(name, "PENDING", reason="Priority"), given
        return ids

    def call(self, words: Sequence[str]) -> str | None:
        """What a command of Slurm's prints."""
        if self.silent:
            return None
        answers = {"squeue": self._squeue, "sacct": self._sacct, "scontrol": self._scontrol, "scancel": self._scancel}
        return answers[words[0]](words)

    def _squeue(self, words: Sequence[str]) -> str:
        if "--jobs" in words:
            job = self.jobs.get(words[words.index("--jobs") + 1])
            return f"{job.state}\n" if job else ""
        return "".join(f"{j.id} |{j.state} |{j.restarts} |{j.reason} |node1 |\n" for j in self.jobs.values())

    def _sacct(self, words: Sequence[str]) -> str:
        return "".join(f"{name}|{self.gone[name]}\n" for name in words[-1].split(",") if name in self.gone)

    def _scontrol(self, _: Sequence[str]) -> str:
        return f"MaxArraySize            = {self.longest}\n"

    def _scancel(self, words: Sequence[str]) -> str:
        for name in words[1:]:
            if name in self.jobs:
                self.end(name, "CANCELLED by 0|0:15")
        return ""

    def work(self, name: str) -> None:
        """Let a job work through its runs, in this process, and end well."""
        self.jobs[name] = replace(self.jobs[name], state="RUNNING", reason="None")
        path, keys, _ = self.arguments[name]
        worker.work(path, keys, f"slurm{name}r{self.jobs[name].restarts}")
        self.end(name, "COMPLETED|0:0")

    def work_all(self) -> None:
        """Let every job work."""
        for name in list(self.jobs):
            self.work(name)

    def end(self, name: str, how: str) -> None:
        """A job leaves the queue; what accounting says of it: "STATE|CODE"."""
        del self.jobs[name]
        self.gone[name] = how

    def vanish(self, name: str) -> None:
        """A job is not there any more, and no accounting knows of it."""
        del self.jobs[name]
