"""The state of a GPU during a measurement: clocks, power, temperature, and reasons for throttling.

It uses nvidia-ml-py if installed (`pip install nvidia-ml-py`), and changes no setting.
"""

from __future__ import annotations

import importlib
from typing import Any

# Reasons to reject a window. A power cap is not one: a GPU under full load reaches it in normal operation.
REJECTING = {
    0x08: "hardware slowdown",
    0x20: "thermal slowdown by software",
    0x40: "thermal slowdown by hardware",
    0x80: "power brake",
}
POWER_CAP = 0x04


class Clocks:
    """Reads one GPU's sensors.

    Args:
        uuid: of the GPU, from CUDA; None for a device without such sensors.
    """

    def __init__(self, uuid: str | None) -> None:
        self.nvml: Any = None
        if uuid is None:
            return
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
            self.handle = nvml.nvmlDeviceGetHandleByUUID(name)
        except Exception:  # not installed, or not supported by the driver: sensors are optional
            return
        self.nvml = nvml

    def poll(self) -> dict[str, Any] | None:
        """Return clocks (MHz), power (W), temperature (°C) and throttling; None without access to sensors.

        A missing sensor is None; a MIG instance lacks most of them.
        """
        if self.nvml is None:
            return None
        nvml = self.nvml
        power, reasons = self._ask("nvmlDeviceGetPowerUsage"), self._reasons()
        return {
            "sm_mhz": self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            "memory_mhz": self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            "power_w": None if power is None else power / 1000,
            "temperature_c": self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            "throttled": [reason for bit, reason in REJECTING.items() if reasons & bit],
            "power_capped": bool(reasons & POWER_CAP),
        }

    def _ask(self, name: str, *which: int) -> int | None:
        """Return one sensor's value; None if the library, the driver or the GPU does not support it."""
        try:
            return int(getattr(self.nvml, name)(self.handle, *which))
        except Exception:  # the library has many exceptions; none should end a measurement
            return None

    def _reasons(self) -> int:
        """Return the driver's bits, by their newer name or, with an older library or driver, by their older name."""
        names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
        return next((bits for name in names if (bits := self._ask(name)) is not None), 0)
