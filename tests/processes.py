"""Processes for tests of signals, kills and several ranks, forked from one that has imported torch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable
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
