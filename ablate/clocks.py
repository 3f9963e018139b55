"""What a GPU says of itself while it is measured: clocks, power, temperature, and why it runs slower than it could.

By nvidia-ml-py, where that is installed (`pip install ablate[nvml]`); nothing is ever set.
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

    def look(self) -> dict[str, Any] | None:
        """Clocks (MHz), power (W), temperature (°C) and throttling now; None where nobody tells."""
        if self.nvml is None:
            return None
        nvml, handle = self.nvml, self.handle
        reasons = _reasons(nvml, handle)
        return {
            "sm_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "power_w": nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "temperature_c": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "throttled": [said for bit, said in SPOILING.items() if reasons & bit],
            "power_capped": bool(reasons & POWER_CAP),
        }


def _reasons(nvml: Any, handle: Any) -> int:
    """The driver's bits; newer versions of the library call them events."""
    for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
        if (ask := getattr(nvml, name, None)) is not None:
            return int(ask(handle))
    return 0
