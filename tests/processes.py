"""Processes of their own for tests of signals, kills and several ranks: forked from one that has imported torch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from typing import Any

LIMIT_S = 600.0  # only what hangs meets it, however busy the machine is
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
    """Start a process that calls a function of some module."""
    process = _CONTEXT.Process(target=_call, args=(target, args, environment), daemon=True)
    process.start()
    return process


def _call(target: Callable[..., Any], args: tuple[Any, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    target(*args)


def start_ranks(target: Callable[..., Any], *args: Any, size: int = 2) -> list[Process]:
    """Start processes that find each other as torchrun's do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
    return [start(target, *args, **meeting, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(size)]


def end(*processes: Process) -> list[int]:
    """Wait for processes; returns their exit codes, and kills those that hang."""
    until = time.monotonic() + LIMIT_S
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert None not in codes, f"a process hangs: exit codes {codes}"
    return codes


def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.002)
