"""The parent's side of a worker process: it sends orders and receives answers; a dead or stuck worker is an error."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from ablate.measure.subjects import Subject
from ablate.spec.processes import command, without_ranks

TIMEOUT_S = 1800.0  # for one answer; compilation of a large model takes minutes


class WorkerError(Exception):
    """An order that failed; the worker continues."""

    def __init__(self, reason: str, *, out_of_memory: bool = False) -> None:
        super().__init__(reason)
        self.out_of_memory = out_of_memory


class WorkerLostError(WorkerError):
    """A worker that has ended, or was stopped because it did not answer."""


class Worker(Protocol):
    """The interface of a worker for a session; the tests implement it too."""

    def send(self, order: Mapping[str, Any]) -> None:
        """Send an order."""

    def receive(self, timeout_s: float) -> Any:
        """Return the answer to the oldest unanswered order."""

    def close(self) -> None:
        """End the worker."""


class Process:
    """A worker in its own process.

    Args:
        log: the file for its output.
        threads: CPU threads it may use.
    """

    def __init__(self, log: Path, threads: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with open(log, "wb") as output:
            # In its own session, so that Ctrl-C reaches the parent only, which stops its workers.
            self.process = subprocess.Popen(
                command("ablate.measure.worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                env=_compile_threads() | without_ranks(os.environ) | {"OMP_NUM_THREADS": str(threads)},
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
            raise WorkerLostError(f"did not answer for {timeout_s:.0f} s and was stopped")
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._lost()
        answer = orjson.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], out_of_memory=answer["out_of_memory"])
        return answer["ok"]

    def _lost(self) -> WorkerLostError:
        """Return an error that describes how it ended."""
        self.close()
        code = self.process.returncode
        if code == -signal.SIGKILL:
            return WorkerLostError("was killed (SIGKILL; often because memory ran out)")
        last = next(reversed([line for line in _lines(self.log) if line.strip()]), "")
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkerLostError(f"ended ({how}){f': {last.strip()}' if last else ''}")

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        try:
            self.process.wait(0.2)  # its input is closed, so it ends unless it is busy
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _compile_threads() -> dict[str, str]:
    """Limit the processes of each worker's compiler, because all workers compile at the same time."""
    return {"TORCHINDUCTOR_COMPILE_THREADS": str(max(1, len(os.sched_getaffinity(0)) // 4))}


def _lines(log: Path) -> Sequence[str]:
    return log.read_text(errors="replace").splitlines()


Start = Callable[[Subject], Worker]
