"""Processes for tests of signals, kills and several ranks, forked from one that has imported torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_S = 600.0  # reached only by a process that hangs
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "ablate.train.loop",
        "ablate.data.open",
        "ablate.model.cost",
        "ablate.train.provenance",
        "ablate.dispatch.worker",
        "sklearn.datasets",
    ]
)
Process = Any


def start(target: Callable[..., Any], *args: Any, **environment: str) -> Process:
    """Start a process that calls a function of a module."""
    process = _CONTEXT.Process(target=_call, args=(target, args, environment), daemon=True)
    process.start()
    return process


def _call(target: Callable[..., Any], args: tuple[Any, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment, ABLATE_RANKS=str(os.getppid()))
    target(*args)


def start_ablate(words: list[str], log: Path | None = None, *, deaf: bool = False) -> Process:
    """Start an `ablate` command that writes no report, which would take most of its time; deaf: it ignores SIGINT."""
    return start(_ablate, words, log, deaf)


def _ablate(words: list[str], log: Path | None, deaf: bool) -> None:
    from ablate import report
    from ablate.cli import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.default_int_handler)
    if log:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(file, stream)
    report.render = lambda *_, **__: Path("no report")  # type: ignore[assignment]
    sys.argv = ["ablate", *words]
    main()


def start_ranks(target: Callable[..., Any], *args: Any, size: int = 2) -> list[Process]:
    """Start processes with the environment variables of torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    return [start(target, *args, **rendezvous, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(size)]


def end(*processes: Process) -> list[int]:
    """Wait for processes, kill those that hang, and return the exit codes."""
    until = time.monotonic() + LIMIT_S
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert None not in codes, f"a process hangs: exit codes {codes}"
    return codes


def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition is true."""
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, f"timeout while waiting for {what}"
        time.sleep(0.002)
