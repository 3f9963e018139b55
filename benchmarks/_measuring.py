"""Shared by the benchmarks: the conditions of a measurement, windows of time, and a Markdown table."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the source tree, where the package is not installed

import timm
import torch

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Rate:
    """Images per second: the median of n windows, the lowest and the highest."""

    windows: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.windows)

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({min(self.windows):,.0f}–{max(self.windows):,.0f}, n={len(self.windows)})"


def conditions(device: torch.device, more: str = "") -> str:
    """Return device, versions and load average, in one line of Markdown."""
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"torch {torch.__version__}, timm {timm.__version__}, Python {platform.python_version()}"
    where = f"{name_of(device)}, {cores} cores, {torch.get_num_threads()} threads{load}"
    return f"{where}; {versions}{'; ' if more else ''}{more}\n"


def name_of(device: torch.device) -> str:
    """Return the name of the device."""
    from ablate.train.provenance import device_name

    return device_name(device)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table, each row when it is measured."""
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    print(flush=True)


def windows(call: Callable[[], object], items: int, device: torch.device, seconds: float, n: int = 5) -> Rate:
    """Items per second of a call, in n windows of some seconds each.

    Two calls and a window before them are not counted: they compile, choose kernels and warm the device up. The device
    is waited for at the ends of a window only.
    """
    for _ in range(2):
        call()
    _window(call, items, device, seconds)
    return Rate([_window(call, items, device, seconds) for _ in range(n)])


def _window(call: Callable[[], object], items: int, device: torch.device, seconds: float) -> float:
    count, pause = 0, 1
    wait(device)
    started = time.perf_counter()
    while True:
        for _ in range(pause):
            call()
        count += pause
        wait(device)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return count * items / elapsed
        pause = max(1, round(count * (seconds / elapsed - 1)))  # as many as should fill the window


def wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


TIMMS_RATE = re.compile(r"Train: (\d+) \[.*?\(\d+\.\d+s, +([\d.]+)/s\)")


def timms_rate(script: Path, words: Sequence[object], threads: int, through: Sequence[object] = ()) -> Rate:
    """Images per second of timm's train.py by its own log, one window per epoch; the first epoch is not counted.

    Args:
        words: its options.
        threads: CPU threads it may use.
        through: a script that is run in its place and runs it.
    """
    command = [sys.executable, *map(str, through), str(script), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"timm's script failed: {' '.join(command)}\n{done.stderr[-3000:]}")
    last = {int(epoch): float(rate) for epoch, rate in TIMMS_RATE.findall(done.stderr + done.stdout)}
    counted = [rate for epoch, rate in last.items() if epoch > 0]
    if not counted:
        raise SystemExit(f"timm's log holds no rate after its first epoch:\n{done.stderr[-3000:]}")
    return Rate(counted)
