"""The one clock: it waits for the device, and nobody else reads another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

import ablate
from ablate.measure import timing
from ablate.measure.timing import Elapsed, is_out_of_memory, timed

PACKAGE = Path(ablate.__file__).parent


class Device:
    """A device that takes orders at once and carries them out when it is waited for; time is what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waiting, self.waits = 0.0, 0.0, 0
        monkeypatch.setattr(timing, "synchronise", self.synchronise)
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def order(self, seconds: float) -> None:
        self.now += 0.001  # handing it over takes a moment
        self.waiting += seconds

    def synchronise(self, device: torch.device) -> None:
        self.waits += 1
        self.now, self.waiting = self.now + self.waiting, 0.0


def test_work_is_waited_for_and_what_came_before_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    device.order(100.0)
    took = timed(torch.device("cpu"), lambda: device.order(5.0))
    assert took.wall_s == pytest.approx(5.001)
    assert device.waits == 2


def test_what_is_asked_meanwhile_comes_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch)
    took = timed(torch.device("cpu"), lambda: device.order(5.0), lambda: device.waiting)
    assert took.seen == 5.0, "the device was still at work"


def test_a_gpu_is_waited_for_through_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    timing.synchronise(torch.device("cuda"))
    timing.synchronise(torch.device("cpu"))
    assert waited == [torch.device("cuda")]


def test_the_device_s_own_clock_counts_and_is_held_against_the_host_s() -> None:
    assert Elapsed(1.0, None).seconds == 1.0
    assert Elapsed(1.02, 1.0).seconds == 1.0
    assert Elapsed(1.02, 1.0).agree
    assert not Elapsed(1.2, 1.0).agree
    assert not Elapsed(0.8, 1.0).agree


MEASURING = [PACKAGE / "measure" / "model.py", PACKAGE / "measure" / "worker.py", PACKAGE / "measure" / "clocks.py"]


@pytest.mark.parametrize("path", MEASURING, ids=lambda path: path.name)
def test_nothing_else_that_measures_knows_a_clock(path: Path) -> None:
    """So a forgotten wait cannot be written: there is no clock to read."""
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {"time", "timeit", "datetime"} & (imported | from_)
    assert not {"Event", "elapsed_time", "perf_counter", "Timer"} & called


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_too_little_memory_is_recognised(error: BaseException) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
