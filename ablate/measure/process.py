"""The parent's end of a worker process: orders go in, answers come out, and a dead or stuck worker is an error."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from ablate.measure.subjects import Subject

PATIENCE_S = 1800.0  # for one answer; compiling a large model takes minutes


class WorkerError(Exception):
    """An order that a worker could not carry out; it lives on."""

    def __init__(self, said: str, *, out_of_memory: bool = False) -> None:
        super().__init__(said)
        self.out_of_memory = out_of_memory


class WorkerLostError(WorkerError):
    """A worker that is gone, or was ended because it gave no answer."""


class Worker(Protocol):
    """What a session asks of a worker; the tests have one of their own."""

    def send(self, order: Mapping[str, Any]) -> None:
        """Give an order."""

    def receive(self, timeout_s: float) -> Any:
        """The answer to the oldest order without one."""

    def close(self) -> None:
        """End the worker."""


class Process:
    """A worker in a process of its own.

    Args:
        log: file for what it prints.
        threads: CPU threads it may use.
    """

    def __init__(self, log: Path, threads: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with open(log, "wb") as output:
            # A session of its own: Ctrl-C is for the parent, which ends its workers.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ablate.measure.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                env=_compile_threads() | os.environ | {"OMP_NUM_THREADS": str(threads)},
                start_new_session=True,
            )

    def send(self, order: Mapping[str, Any]) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(orjson.dumps(order) + b"\n")
        except OSError:
            raise self._lost() from None

    def receive(self, timeout_s: float) -> Any:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, timeout_s))
        if not ready:
            self.close()
            raise WorkerLostError(f"gave no answer for {timeout_s:.0f} s and was ended")
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._lost()
        answer = orjson.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], out_of_memory=answer["out_of_memory"])
        return answer["ok"]

    def _lost(self) -> WorkerLostError:
        """What is known of its end."""
        self.close()
        code = self.process.returncode
        if code == -signal.SIGKILL:
            return WorkerLostError("was killed (SIGKILL; often for want of memory)")
        last = next(reversed([line for line in _lines(self.log) if line.strip()]), "")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerLostError(f"ended ({how}){f': {last.strip()}' if last else ''}")

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        try:
            self.process.wait(0.2)  # its input has ended, so it ends by itself unless it is at work
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _compile_threads() -> dict[str, str]:
    """Processes that each worker's compiler may start: all workers compile at the same time."""
    return {"TORCHINDUCTOR_COMPILE_THREADS": str(max(1, len(os.sched_getaffinity(0)) // 4))}


def _lines(log: Path) -> Sequence[str]:
    return log.read_text(errors="replace").splitlines()


Start = Callable[[Subject], Worker]
