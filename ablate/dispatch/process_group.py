"""A local worker: `python -m ablate.dispatch.process_group ROOT NAME PROCESSES`, the keys of its runs on stdin.

With more than one process per run, it starts a process group and waits for it. The environment of each process is that
of torchrun. The group ends together, because a run cannot continue without one of its processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from ablate.spec.processes import command as command_of

LOOPBACK = "127.0.0.1"
POLL_S = 0.1
GRACE_S = 10.0  # for the other processes after one has failed
STOP_S = 120.0  # for all processes after a request to stop, which may write a checkpoint first


def main(arguments: Sequence[str], keys: Sequence[str]) -> int:
    """Work in this process or start a process group, and return the exit code."""
    root, name, processes = arguments
    if int(processes) > 1:
        return run_group(command_of("ablate.dispatch.process_group", root, name, "1"), json.dumps(keys), int(processes))
    # SIGUSR1 requests a checkpoint during training; at other times it must not kill the process.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from ablate.dispatch.worker import work
    from ablate.train.signals import noted

    try:
        with noted():
            work(root, keys, name)
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM
    except OSError as error:  # such as a failure note that a full disk does not take
        print(f"cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def run_group(command: Sequence[str], text: str, size: int) -> int:
    """Start the processes of a group, pass each a text on stdin, wait, and return the first exit code other than 0.

    SIGTERM, SIGINT and SIGUSR1 are forwarded to each process.
    """
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    members = [_member(command, text, rank, size, port) for rank in range(size)]
    received: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        received.append(number)
        for member in members:
            member.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, forward)
    while (codes := [member.poll() for member in members]).count(None) and not any(codes):
        time.sleep(POLL_S)
    stopping = bool({signal.SIGTERM, signal.SIGINT} & set(received))
    _end(members, STOP_S if stopping else 0.0 if any((code or 0) < 0 for code in codes) else GRACE_S)
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


def _member(command: Sequence[str], text: str, rank: int, size: int, port: int) -> subprocess.Popen[str]:
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    variables |= {"ABLATE_RANKS": os.getpid()}  # the process for whose children these are
    environment = os.environ | {name: str(value) for name, value in variables.items()} | {"MASTER_ADDR": LOOPBACK}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True)
    assert process.stdin
    process.stdin.write(text)
    process.stdin.close()
    return process


def _end(members: Sequence[subprocess.Popen[str]], grace_s: float) -> None:
    """Wait for all processes, and kill those that are left after the grace time."""
    deadline = time.monotonic() + grace_s
    for member in members:
        try:
            member.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            member.kill()
            member.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], json.load(sys.stdin)))
