"""What a launch is asked to do, for any study; `prepare` makes it the plan of a launch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ablate.dispatch.data import locate
from ablate.dispatch.grouping import group
from ablate.dispatch.launch import prepare
from ablate.dispatch.plan import LaunchPlan, Place, side_by_side
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.status import StatusMonitor
from ablate.spec.errors import unknown
from ablate.spec.resources import Resources, from_settings
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.study.checks import check_seeds
from ablate.study.compare import check_matches
from ablate.study.study import Study


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """How to run a study: where, with which seeds, data and resources.

    Args:
        seeds: per variant; None means the study's own number.
        only: labels of the variants to train; empty means all.
        jobs: runs (on Slurm: jobs) side by side; None means one per GPU, else cores over threads; on Slurm, all.
        detach: run in the background; None does so on Slurm only.
        retry_failed: train runs again that failed in an earlier launch.
        max_retries: how often to retry a run that fails in this launch.
        fail_fast: end the launch when a run has failed and is not retried.
        data: paths of datasets, by name; the settings give the others.
        resources: fields of `Resources`, by name; the settings give the others.
    """

    root: Root
    place: Place = Place.local
    seeds: int | None = None
    only: Sequence[str] = ()
    jobs: int | None = None
    detach: bool | None = None
    retry_failed: bool = False
    max_retries: int = 0
    fail_fast: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seeds is not None:
            check_seeds(self.seeds)

    @property
    def is_detached(self) -> bool:
        """Whether the launch runs in the background."""
        requested = self.place is Place.slurm if self.detach is None else self.detach
        return requested and self.place is not Place.inline

    def for_study(self, study: Study, scale: str) -> RunRequest:
        """Return the same request without the data that the study does not use."""
        used = {run.dataset for run in study.runs(scale, self.seeds)}
        return replace(self, data={name: path for name, path in self.data.items() if name in used})

    def runs_of(self, study: Study, scale: str) -> list[Run]:
        """Return the runs of a study that are requested.

        Raises:
            SpecError: when the study has no variant of a requested label.
        """
        labels = {variant.run: variant.label for variant in study.variants(scale)}
        for label in self.only:
            if label not in labels.values():
                raise unknown("variant", label, labels.values())
        runs = study.runs(scale, self.seeds)
        return [run for run in runs if not self.only or labels[run.replace(seed=0)] in self.only]

    def locate(self, runs: Iterable[Run]) -> dict[str, str]:
        """Return the path of every dataset on disk that some runs use.

        Raises:
            SpecError: for a passed dataset that none of them uses.
        """
        return locate(self.data, {run.dataset for run in runs})

    def resolve(self, data: Mapping[str, str]) -> Resources:
        """Return the resources of each run: as passed, else from the settings, else the default.

        Raises:
            SpecError: when one is not valid.
        """
        return Resources(data=data, **(from_settings() | dict(self.resources)))

    def prepare(self, study: Study, scale: str) -> LaunchPlan:
        """Request the missing runs of a study, and return the plan of their launch.

        Raises:
            SpecError: when they cannot be trained as requested.
        """
        runs = self.runs_of(study, scale)
        data = self.locate(study.runs(scale, self.seeds))
        resources = self.resolve(data)
        size = side_by_side(self.place, resources, self.jobs, len(runs))
        self.root.make_writable()
        monitor = StatusMonitor(self.root, runs, data)
        check_matches(study, scale, data)
        missing = prepare(self.root, monitor, resources, retry_failed=self.retry_failed)
        slurm = self.place is Place.slurm and bool(missing)
        return LaunchPlan(
            study=study,
            scale=scale,
            root=self.root,
            monitor=monitor,
            missing=missing,
            resources=resources,
            place=self.place,
            jobs=self.jobs,
            size=min(size, len(group(self.root, missing, resources).slices)) if slurm else size,
            policy=RetryPolicy(self.max_retries, self.fail_fast),
        )

    def arguments(self, name: str | None, scale: str | None) -> list[str]:
        """Return the arguments of the `ablate run` that makes this request.

        Args:
            name: the study, prepared already, so that its earlier failures are forgotten; None means all studies.
        """
        values = {**self.resources, "on": str(self.place), "root": self.root.path, "max_retries": self.max_retries}
        values |= {"data": self.data, "fail_fast": self.fail_fast, "retry_failed": self.retry_failed and name is None}
        values |= {"scale": scale, "seeds": self.seeds, "jobs": self.jobs, "only": self.only}
        given = {key: value for key, value in values.items() if value is not None and (key in self.resources or value)}
        return [name or "--all", *as_arguments(given)]


def as_arguments(values: Mapping[str, Any]) -> list[str]:
    """Return options as the arguments of a command line; a mapping becomes one NAME=VALUE each, a list one VALUE."""
    arguments = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list | tuple):
            arguments += [f"--{flag}={item}" for item in value]
        elif isinstance(value, Mapping):
            arguments += [f"--{flag}={key}={text}" if text else f"--{flag}={key}" for key, text in value.items()]
        else:
            arguments.append(f"--{flag}={value}")
    return arguments
