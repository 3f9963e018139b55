"""How long a run takes, estimated from a few steps on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import cache, json_files
from ablate.train.distributed import ALONE
from ablate.train.execute import execute

STEPS = 20
WARM_UP = 5  # steps that are not timed: compilation, caches, first batches


@dataclass(frozen=True)
class Probe:
    """The time of a few steps of a run.

    Args:
        step_s: median time of a step, in seconds.
        steps: steps of the whole run.
        device: where it was measured.
    """

    step_s: float
    steps: int
    device: str

    @property
    def hours(self) -> float:
        """Training time of the whole run on one such device, in hours; without evaluation and start-up."""
        return self.step_s * self.steps / 3600


class Enough(Exception):  # noqa: N818 - it is not an error
    """A probe has taken its steps."""


class _Stopwatch:
    """Called after every step: measures its time, and ends the probe after the last."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.steps_per_epoch = 0
        self.taken = 0
        self.before: float | None = None

    def __call__(self, state: dict[str, Any]) -> None:
        _synchronise()
        now = time.perf_counter()
        if state["step"] == 0:  # after the evaluation of an epoch
            self.before = now
            return
        self.steps_per_epoch = state["steps"]
        self.taken += 1
        if self.before is not None and self.taken > WARM_UP:
            self.times.append(now - self.before)
        self.before = now
        if self.taken >= WARM_UP + STEPS:
            raise Enough


def _synchronise() -> None:
    import torch

    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def probe(run: Run, resources: Resources) -> Probe:
    """Time a few steps of a run in this process, and write no files.

    Raises:
        SpecError: when its data is not available.
    """
    watch = _Stopwatch()
    long_enough = run.replace(epochs=max(run.epochs, WARM_UP + STEPS))
    with suppress(Enough):
        execute(long_enough, resources, watch)
    device = str(ALONE.device(resources.device))
    return Probe(statistics.median(watch.times), watch.steps_per_epoch * run.epochs, device)


def probe_all(runs: Sequence[Run], resources: Resources) -> dict[Run, Probe]:
    """Return a probe for each variant, by the run with seed 0, and remember it; all seeds take the same time."""
    found = {run: probe(run, resources) for run in dict.fromkeys(run.replace(seed=0) for run in runs)}
    for run, measured in found.items():
        cache.write_note("probes", run.key, asdict(measured))
    return found


def remembered(run: Run) -> Probe | None:
    """Return the last probe of a variant on this machine; None if there is none."""
    note = cache.read_note("probes", run.replace(seed=0).key)
    try:
        found = json_files.checked(note, {"step_s": float, "steps": int, "device": str})
    except ValueError:
        return None
    return Probe(**{item.name: found[item.name] for item in fields(Probe)}) if found["step_s"] > 0 else None
