"""Peak memory of one run, also where a worker process trains several."""

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
    """Fill the dict with `peak_memory_mib` at the end of the block.

    On CUDA: the most that torch had allocated. On the CPU: the highest resident size of the process, libraries
    included, counted from the start of the block; None where the kernel cannot tell.
    """
    found: dict[str, float | None] = {}
    counted = _reset(device)
    yield found
    found["peak_memory_mib"] = peak_so_far(device) if counted else None


def _reset(device: torch.device) -> bool:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        (SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_so_far(device: torch.device) -> float | None:
    """The same, MiB, since it was last counted from anew; None where the kernel does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    try:
        status = (SELF / "status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None
