"""How long a run will take: a few steps of it, on the device at hand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.distributed import ALONE
from ablate.train.execute import execute

STEPS = 20
WARM_UP = 5  # steps not counted: compiling, caching, the first batches


@dataclass(frozen=True)
class Probe:
    """What a few steps of a run took.

    Args:
        step_s: seconds of one step, the median.
        steps: of the whole run.
        device: on which.
    """

    step_s: float
    steps: int
    device: str

    @property
    def hours(self) -> float:
        """Training steps of the whole run, on one such device; evaluation and start-up come on top."""
        return self.step_s * self.steps / 3600


class Enough(Exception):  # noqa: N818 - it ends a probe that went well
    """The steps of a probe are done."""


class _Stopwatch:
    """Called after every step: notes its time, and ends the probe after the last."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.steps_an_epoch = 0
        self.taken = 0
        self.before: float | None = None

    def __call__(self, state: dict[str, Any]) -> None:
        _synchronise()
        now = time.perf_counter()
        if state["step"] == 0:  # an epoch ended, and was evaluated: the next step begins now
            self.before = now
            return
        self.steps_an_epoch = state["steps"]
        self.taken += 1
        if self.before is not None and self.taken > WARM_UP:
            self.times.append(now - self.before)
        self.before = now
        if self.taken >= WARM_UP + STEPS:
            raise Enough


def _synchronise() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def probe(run: Run, resources: Resources) -> Probe:
    """Take a few steps of a run in this process, alone, and leave nothing behind.

    Raises:
        SpecError: when its data cannot be had.
    """
    watch = _Stopwatch()
    long_enough = run.replace(epochs=max(run.epochs, WARM_UP + STEPS))
    with suppress(Enough):
        execute(long_enough, resources, watch)
    device = str(ALONE.device(resources.device))
    return Probe(statistics.median(watch.times), watch.steps_an_epoch * run.epochs, device)


def probe_all(runs: Sequence[Run], resources: Resources) -> dict[Run, Probe]:
    """A probe of every run but its seed: seeds take the same time."""
    return {run: probe(run, resources) for run in dict.fromkeys(run.replace(seed=0) for run in runs)}
