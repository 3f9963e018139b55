"""Peak memory of one run, even if a worker process trains several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SELF = Path("/proc/self")
MIB = 2**20


@contextmanager
def peak(device: torch.device) -> Iterator[dict[str, float | None]]:
    """Set `peak_memory_mib` in the yielded dict at the end of the block.

    On CUDA, it is the maximum allocated by torch. On the CPU, it is the maximum resident size of the process since the
    start of the block, including libraries; None if the kernel does not support this.
    """
    found: dict[str, float | None] = {}
    counted = _reset(device)
    yield found
    found["peak_memory_mib"] = peak_so_far(device) if counted else None


def _reset(device: torch.device) -> bool:
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call] # it counts nothing before
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        (SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_so_far(device: torch.device) -> float | None:
    """Return the peak memory since the last reset in MiB; None if the kernel does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    try:
        status = (SELF / "status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None
