"""How a run is executed: what must not change its expected result, and so never enters its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ablate.registry import SpecError

KEEP = ("all", "final", "none")


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
        micro_batch: pictures of one forward pass in one process; 0 takes all of the process's at once.
        compile: run the model through `torch.compile`.
        channels_last: keep the pictures' channels last in memory.
        deterministic: allow only algorithms that give equal bits twice, slower ones where need be.
        checkpoint_minutes: time between two checkpoints.
        keep: what stays on disk beside the record: "final" weights, "all" of the checkpoints too, or "none".
        allow_broken: the share of a data set's pictures that may fail to decode before the run fails.
        tensorboard: write the run's curves for TensorBoard too.
    """

    threads: int = 1
    workers: int = 0
    device: str = "auto"
    data: Mapping[str, str] = field(default_factory=dict)
    micro_batch: int = 0
    compile: bool = False
    channels_last: bool = False
    deterministic: bool = False
    checkpoint_minutes: float = 10.0
    keep: str = "final"
    allow_broken: float = 0.001
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("workers", 0), ("micro_batch", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} is {value!r}; wanted is a whole number, {least} or more")
        if self.keep not in KEEP:
            raise SpecError(f"keep is {self.keep!r}; wanted is one of {', '.join(KEEP)}")
        if not self.checkpoint_minutes >= 0:
            raise SpecError(f"checkpoint_minutes is {self.checkpoint_minutes!r}; wanted is 0 or more")
        if not 0 <= self.allow_broken <= 1:
            raise SpecError(f"allow_broken is {self.allow_broken!r}; wanted is between 0 and 1")

    def fields(self) -> dict[str, Any]:
        """All fields with their values: JSON-ready."""
        return asdict(self)
