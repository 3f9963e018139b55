"""A GPU's sensors, by a library that is not here."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from ablate.measure.clocks import Clocks


def nvml(reasons: int, ask: str = "nvmlDeviceGetCurrentClocksEventReasons") -> ModuleType:
    """The library, for a GPU that gives these reasons."""
    found: Any = ModuleType("pynvml")
    found.NVML_CLOCK_SM, found.NVML_CLOCK_MEM, found.NVML_TEMPERATURE_GPU = 1, 2, 0
    found.nvmlInit = lambda: None
    found.nvmlDeviceGetHandleByUUID = {"GPU-1a": "the one"}.__getitem__
    found.nvmlDeviceGetClockInfo = lambda handle, which: {1: 1980, 2: 2619}[which]
    found.nvmlDeviceGetPowerUsage = lambda handle: 650_500
    found.nvmlDeviceGetTemperature = lambda handle, which: 61
    setattr(found, ask, lambda handle: reasons)
    return found


def test_a_gpu_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(0x04))
    assert Clocks("1a").poll() == {
        "sm_mhz": 1980,
        "memory_mhz": 2619,
        "power_w": 650.5,
        "temperature_c": 61,
        "throttled": [],
        "power_capped": True,
    }


@pytest.mark.parametrize("ask", ["nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"])
def test_throttling_is_told_by_older_and_newer_libraries(monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(0x48, ask))
    seen = Clocks("GPU-1a").poll()
    assert seen
    assert seen["throttled"] == ["hardware slowdown", "thermal slowdown by hardware"]


def refuses(*_: Any) -> int:
    raise RuntimeError("Not Supported")


def test_an_older_driver_under_a_newer_library_tells_of_throttling(monkeypatch: pytest.MonkeyPatch) -> None:
    library = nvml(0x40, "nvmlDeviceGetCurrentClocksThrottleReasons")
    library.__dict__["nvmlDeviceGetCurrentClocksEventReasons"] = refuses
    monkeypatch.setitem(sys.modules, "pynvml", library)
    seen = Clocks("1a").poll()
    assert seen
    assert seen["throttled"] == ["thermal slowdown by hardware"]


def test_a_sensor_that_a_gpu_lacks_costs_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    library = nvml(0)
    library.__dict__["nvmlDeviceGetPowerUsage"] = refuses
    monkeypatch.setitem(sys.modules, "pynvml", library)
    seen = Clocks("1a").poll()
    assert seen
    assert (seen["power_w"], seen["temperature_c"]) == (None, 61)


def test_without_a_library_or_with_another_gpu_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Clocks("1a").poll() is None
    monkeypatch.setitem(sys.modules, "pynvml", nvml(0))
    assert Clocks("another").poll() is None
    assert Clocks(None).poll() is None
