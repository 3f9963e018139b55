"""What a launch would take: jobs, time and disk, without starting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.dispatch.data import check_available
from ablate.dispatch.disk import Disk, disk_of
from ablate.dispatch.grouping import Grouping, group
from ablate.dispatch.plan import Place, side_by_side
from ablate.dispatch.probe import Probe, probe_all
from ablate.dispatch.request import RunRequest
from ablate.dispatch.slurm_pool import arrays, parameters
from ablate.dispatch.status import SETTLED, StatusMonitor
from ablate.spec.resources import Resources
from ablate.spec.run import Run, differences
from ablate.study.compare import check_matches
from ablate.study.study import Study, Variant


@dataclass(frozen=True)
class Estimate:
    """A launch that was not started.

    Args:
        total: how many runs there are, done or not.
        missing: the runs to train.
        size: how many of them train side by side.
        grouping: the runs of each Slurm job; None elsewhere.
        probes: step times, by the run with seed 0; empty where none were measured.
    """

    place: Place
    resources: Resources
    total: int
    missing: Sequence[Run]
    size: int
    grouping: Grouping | None
    probes: Mapping[Run, Probe]
    disk: Disk

    @property
    def arrays(self) -> list[int]:
        """Number of jobs of each array on Slurm."""
        return [len(array) for array in arrays(self.grouping.slices)] if self.grouping else []

    def variants(self, study: Study, scale: str) -> list[dict[str, Any]]:
        """Return every variant of the study with what it changes and the keys of its missing runs, ready for JSON."""
        missing: dict[Run, list[str]] = {}
        for run in self.missing:
            missing.setdefault(run.replace(seed=0), []).append(run.key)
        variants = study.variants(scale)
        return [_variant(variants[0].run, variant, missing.get(variant.run, [])) for variant in variants]

    @property
    def device_hours(self) -> float:
        """Training time of all missing runs on one device, in hours."""
        return sum(self.probes[run.replace(seed=0)].hours for run in self.missing)

    @property
    def wall_hours(self) -> float:
        """A lower bound on the time from start to end: the longest run, or all runs over the devices, in hours."""
        each = [self.probes[run.replace(seed=0)].hours / self.resources.processes for run in self.missing]
        return max(max(each), sum(each) / self.size)

    @property
    def device(self) -> str:
        """The device of the probes."""
        return next(iter(self.probes.values())).device

    def as_data(self) -> dict[str, Any]:
        """Return the launch, without its disk, ready for JSON."""
        data: dict[str, Any] = {"on": str(self.place), "runs": len(self.missing), "side_by_side": self.size}
        if grouping := self.grouping:
            jobs = [{"runs": list(keys), "minutes": grouping.minutes(keys)} for keys in grouping.slices]
            data |= {"arrays": self.arrays, "jobs": jobs}
            data |= {"sbatch": parameters(self.resources, minutes=grouping.limit)}
        if self.probes and self.missing:
            steps = {run.key: probe.step_s for run, probe in self.probes.items()}
            data |= {"device": self.device, "step_s": steps}
            data |= {"device_hours": self.device_hours, "wall_hours": self.wall_hours}
        return data


def estimate_study(request: RunRequest, study: Study, scale: str, *, probing: bool = False) -> Estimate:
    """Estimate the launch of one study, after checking its matched variants and the data that is available.

    Args:
        probing: measure a few steps of every variant on this machine.

    Raises:
        SpecError: when the runs cannot be trained as requested.
    """
    runs = study.runs(scale, request.seeds)
    data = request.locate(runs)
    check_matches(study, scale, data)
    missing = _missing(request, runs, data)
    check_available(missing, data)
    return _estimate(request, len(runs), missing, data, probing=probing)


def estimate_runs(request: RunRequest, runs: Sequence[Run], *, probing: bool = False) -> Estimate:
    """Estimate one launch of some runs, each of them once."""
    data = request.locate(runs)
    return _estimate(request, len(runs), _missing(request, runs, data), data, probing=probing)


def _missing(request: RunRequest, runs: Sequence[Run], data: Mapping[str, str]) -> list[Run]:
    return [status.run for status in StatusMonitor(request.root, runs, data).poll() if status.state not in SETTLED]


def _estimate(
    request: RunRequest, total: int, missing: Sequence[Run], data: Mapping[str, str], *, probing: bool
) -> Estimate:
    resources = request.resolve(data)
    size = side_by_side(request.place, resources, request.jobs, len(missing))
    probes = probe_all(missing, resources) if probing else {}
    grouping = group(request.root, missing, resources) if request.place is Place.slurm else None
    size = min(size, len(grouping.slices)) if grouping else size
    disk = disk_of(missing, data, side_by_side=size)
    return Estimate(request.place, resources, total, missing, size, grouping, probes, disk)


def _variant(control: Run, variant: Variant, missing: list[str]) -> dict[str, Any]:
    changes = {field: value for field, (_, value) in differences(control, variant.run).items()}
    match = {"match": variant.match.as_data()} if variant.match else {}
    return {"variant": variant.label, "changes": changes, "missing": missing} | match
