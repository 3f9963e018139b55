"""How a run is executed: what must not change its expected result, and so never enters its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ablate.registry import SpecError


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run may use.

    Bit-equal records are promised for an equal CPU type, versions, device and number of threads: one thread or two
    give different last bits, so threads are recorded with the run.

    Args:
        threads: CPU threads of the process that trains.
        workers: processes that decode pictures; 0 decodes in the training process.
        device: "auto" (the first CUDA device, else the CPU), or a torch device name.
        data: where data sets lie, by name.
    """

    threads: int = 1
    workers: int = 0
    device: str = "auto"
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("workers", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} is {value!r}; wanted is a whole number, {least} or more")

    def fields(self) -> dict[str, Any]:
        """All fields with their values: JSON-ready."""
        return asdict(self)
