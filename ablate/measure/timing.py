"""The one place that reads a clock for a measurement of speed: it waits for the device before and after.

A GPU takes orders faster than it carries them out, and a clock read between the two measures nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

CLOCKS_AGREE = 0.05  # largest relative difference of the device's clock and the host's


@dataclass(frozen=True)
class Elapsed:
    """Seconds some work took by the host's clock, and by the device's own where it has one; what was seen meanwhile."""

    wall_s: float
    device_s: float | None
    seen: Any = None

    @property
    def seconds(self) -> float:
        """By the device's clock, else by the host's."""
        return self.wall_s if self.device_s is None else self.device_s

    @property
    def agree(self) -> bool:
        """Whether both clocks say the same."""
        return self.device_s is None or abs(self.wall_s / self.device_s - 1) <= CLOCKS_AGREE


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all its work; the CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def timed(device: torch.device, work: Callable[[], object], meanwhile: Callable[[], Any] = lambda: None) -> Elapsed:
    """How long some work takes on a device, from its start to its end.

    Args:
        meanwhile: called when all of the work has been handed to the device, which as a rule is still at it.
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
    """A mark in the device's stream of work; None where it keeps no time."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device or the machine has no more memory to give."""
    told = (
        "DefaultCPUAllocator: can't allocate",
        "CUDA out of memory",
        "Cannot allocate memory",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED",  # its workspace is beyond torch's allocator
    )
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in told)
