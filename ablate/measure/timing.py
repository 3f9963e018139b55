"""The only clock of speed measurements: it waits for the device before and after.

A GPU executes work asynchronously, so a clock without synchronisation does not measure it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

CLOCKS_AGREE = 0.05  # largest relative difference between the device's and the host's clock


@dataclass(frozen=True)
class Elapsed:
    """Seconds by the host's clock and, if it has one, by the device's clock; and what was observed meanwhile."""

    wall_s: float
    device_s: float | None
    seen: Any = None

    @property
    def seconds(self) -> float:
        """Return the time by the device's clock, otherwise by the host's."""
        return self.wall_s if self.device_s is None else self.device_s

    @property
    def agree(self) -> bool:
        """Return whether both clocks agree."""
        return self.device_s is None or abs(self.wall_s / self.device_s - 1) <= CLOCKS_AGREE


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished its work; the CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def timed(device: torch.device, work: Callable[[], object], meanwhile: Callable[[], Any] = lambda: None) -> Elapsed:
    """Return the time of some work on a device, from start to end.

    Args:
        meanwhile: called after all work is submitted, usually while the device is still busy.
    """
    synchronise(device)
    began, start = time.perf_counter(), _event(device)
    work()
    end = _event(device)
    seen = meanwhile()
    synchronise(device)
    wall = time.perf_counter() - began
    return Elapsed(wall, start.elapsed_time(end) / 1000 if start else None, seen)


def _event(device: torch.device) -> Any:
    """Record a timing event on a CUDA device; return None for others."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that the device or the machine is out of memory."""
    phrases = (
        "DefaultCPUAllocator: can't allocate",
        "CUDA out of memory",
        "Cannot allocate memory",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",  # its workspace is outside torch's allocator
    )
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in phrases)
