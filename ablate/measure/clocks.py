"""What a GPU says of itself while it is measured: clocks, power, temperature, and why it runs slower than it could.

By nvidia-ml-py, where that is installed (`pip install nvidia-ml-py`); nothing is ever set.
"""

from __future__ import annotations

import importlib
from typing import Any

# Reasons that spoil a window. A power cap is none: a GPU under full load meets it in ordinary operation.
SPOILING = {
    0x08: "hardware slowdown",
    0x20: "thermal slowdown by software",
    0x40: "thermal slowdown by hardware",
    0x80: "power brake",
}
POWER_CAP = 0x04


class Clocks:
    """Reads one GPU's sensors.

    Args:
        uuid: of the GPU, as CUDA gives it; None for a device without such sensors.
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
        except Exception:  # not installed, or a driver that does not tell: a measurement can do without
            return
        self.nvml = nvml

    def poll(self) -> dict[str, Any] | None:
        """Clocks (MHz), power (W), temperature (°C) and throttling now; None where nobody tells.

        A sensor that a GPU lacks, as a part of a divided GPU lacks most, is None and the others are told.
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
            "throttled": [said for bit, said in SPOILING.items() if reasons & bit],
            "power_capped": bool(reasons & POWER_CAP),
        }

    def _ask(self, name: str, *which: int) -> int | None:
        """One sensor's value; None where the library, the driver or the GPU does not know it."""
        try:
            return int(getattr(self.nvml, name)(self.handle, *which))
        except Exception:  # the library has an exception for each reason; none is worth a measurement
            return None

    def _reasons(self) -> int:
        """The driver's bits, under their newer name or, where library or driver is older, their older one."""
        names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
        return next((bits for name in names if (bits := self._ask(name)) is not None), 0)
