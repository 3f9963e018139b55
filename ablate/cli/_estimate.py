"""What `ablate plan` says of a launch: what would be started where, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._place import Place

if TYPE_CHECKING:
    from ablate.dispatch.probe import Probe
    from ablate.spec.resources import Resources
    from ablate.spec.run import Run


@dataclass(frozen=True)
class Estimate:
    """A launch that was not made.

    Args:
        on: the place.
        resources: of each run.
        runs: to train.
        size: how many side by side.
        arrays: jobs of each array, on Slurm.
        probes: what a few steps took, by the run without its seed; empty where none were taken.
    """

    on: Place
    resources: Resources
    runs: Sequence[Run]
    size: int
    arrays: Sequence[int]
    probes: Mapping[Run, Probe]

    @property
    def device_hours(self) -> float:
        """Of all runs, on one device each."""
        return sum(self.probes[run.replace(seed=0)].hours for run in self.runs)

    @property
    def wall_hours(self) -> float:
        """From the first start to the last end, at best: the longest run, or all of them over the devices."""
        each = [self.probes[run.replace(seed=0)].hours / self.resources.processes for run in self.runs]
        return max(max(each), sum(each) / self.size)

    def as_data(self) -> dict[str, Any]:
        """Ready for JSON."""
        from ablate.dispatch.slurm_pool import parameters

        told: dict[str, Any] = {"on": str(self.on), "runs": len(self.runs), "side_by_side": self.size}
        if self.on is Place.slurm:
            told |= {"arrays": list(self.arrays), "sbatch": parameters(self.resources)}
        if self.probes and self.runs:
            steps = {run.key: probe.step_s for run, probe in self.probes.items()}
            told |= {"device": self.device, "step_s": steps}
            told |= {"device_hours": self.device_hours, "wall_hours": self.wall_hours}
        return told

    @property
    def device(self) -> str:
        """On which the steps were taken."""
        return next(iter(self.probes.values())).device


def estimate(on: Place, resources: Resources, runs: Sequence[Run], size: int, *, probing: bool) -> Estimate:
    """Work out a launch, after a few steps of every variant where that is wished."""
    from ablate.dispatch.probe import probe_all
    from ablate.dispatch.slurm_pool import arrays

    keys = [run.key for run in runs]
    found = [len(one) for one in arrays(keys, resources.runs_per_job)] if on is Place.slurm else []
    return Estimate(on, resources, runs, size, found, probe_all(runs, resources) if probing else {})


def print_estimate(told: Estimate, labels: Mapping[Run, str]) -> None:
    """Where the runs would go; and how long they take, where a probe was made."""
    typer.echo(_where(told))
    if not told.probes or not told.runs:
        return
    for run, probe in told.probes.items():
        typer.echo(f"probe: {labels[run]}: {1000 * probe.step_s:.3g} ms a step, {probe.steps:,} steps a run")
    typer.echo(
        f"time, from these steps on {told.device}: {_hours(told.device_hours)} on one device, at least "
        f"{_hours(told.wall_hours)} as planned; evaluation, start-up and queueing come on top"
    )


def _where(told: Estimate) -> str:
    wants, count = told.resources, len(told.runs)
    if told.on is not Place.slurm:
        each = f", {wants.processes} processes each" if wants.processes > 1 else ""
        return f"{told.on}: {count} run{'' if count == 1 else 's'}, {told.size} side by side{each}"
    jobs = sum(told.arrays)
    arrays = f" in {len(told.arrays)} arrays ({' + '.join(map(str, told.arrays))})" if len(told.arrays) > 1 else ""
    limit = f"{wants.minutes} minutes" if wants.minutes else "the partition's time limit"
    processes = f"{wants.nodes} node{'s' * (wants.nodes > 1)} with {wants.gpus_per_run} process" + (
        "es" if wants.gpus_per_run > 1 else ""
    )
    return (
        f"slurm: {jobs} job{'' if jobs == 1 else 's'}{arrays}, {min(told.size, jobs)} side by side; "
        f"each {processes} and {limit}"
    )


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"
