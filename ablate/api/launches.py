"""Plan and train the runs of a study, and read their states."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.api.arguments import Folder, Paths, StudyLike, absolute, listed
from ablate.dispatch.display import Display, labels_of
from ablate.dispatch.estimate import estimate_study
from ablate.dispatch.plan import Place
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus, StatusMonitor, with_exit_reason
from ablate.model.cost import complexity
from ablate.results.table import frame
from ablate.spec.errors import SpecError, unknown
from ablate.spec.resources import options
from ablate.store.root import Root
from ablate.study.compare import check_own_parts, classes_of
from ablate.study.load import as_study
from ablate.study.study import Study
from ablate.train.distributed import alone


@dataclass(frozen=True)
class Launched:
    """The result of `run`.

    Args:
        statuses: the final state of each requested run, with the error of one that failed.
    """

    study: Study
    scale: str
    seeds: int | None
    root: Path
    statuses: Sequence[RunStatus]

    @property
    def complete(self) -> bool:
        """Whether every requested run has a record."""
        return all(status.state == "done" for status in self.statuses)

    @property
    def failed(self) -> dict[str, str]:
        """The error of each run that failed, by key."""
        return {status.run.key: status.error for status in self.statuses if status.state == "failed"}

    @property
    def states(self) -> pd.DataFrame:
        """One row per requested run, as `status` returns."""
        return _states(self.study, self.scale, self.statuses)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per finished run of the study; see `ablate.frame`."""
        return frame(self.study, self.scale, seeds=self.seeds, root=self.root)


def run(
    study: StudyLike,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    only: Iterable[str] = (),
    jobs: int | None = None,
    on: str = "local",
    data: Paths | None = None,
    retry_failed: bool = False,
    max_retries: int = 0,
    fail_fast: bool = False,
    root: Folder = None,
    progress: bool = False,
    **resources: Any,
) -> Launched:
    """Train the missing runs of a study, and return when all have ended.

    Workers are other processes, except with `on="inline"`. Ctrl-C stops them, each with a checkpoint; the same call
    resumes. A run that fails does not raise: see `failed` of the result.

    Args:
        seeds: per variant; None is the study's number.
        only: labels of the variants to train; empty means all.
        jobs: runs side by side; None means one per GPU, else cores over threads.
        on: "local" (one worker per slot), "inline" (this process) or "slurm" (job arrays; waits for them).
        data: paths of datasets, by name; the settings give the others.
        retry_failed: train runs again that failed in an earlier launch.
        max_retries: how often to retry a run that fails.
        fail_fast: end when a run has failed for good.
        progress: show the states of the runs on the standard error.
        resources: fields of `ablate.Resources`, such as device="cpu" or threads=2.

    Raises:
        SpecError: when the runs cannot be trained as requested.
        LaunchError: when workers cannot be started.
        KeyboardInterrupt: after Ctrl-C, when the workers have stopped; Slurm jobs continue.
    """
    chosen = as_study(study)
    scale = chosen.scale(scale)
    given = {"only": listed(only), "retry_failed": retry_failed, "max_retries": max_retries, "fail_fast": fail_fast}
    request = _request(root, on, seeds, jobs, data, resources, **given)
    if request.place is Place.inline and not alone():
        raise SpecError("run must be called in one process, got several; use the command ablate run --on inline")
    plan = request.prepare(chosen, scale)
    if progress and plan.missing:
        names, live = labels_of(chosen, scale, plan.monitor.runs), plan.place is not Place.inline
        with Display(names, plan.size, sys.stderr, live=live) as display:
            statuses = plan.execute(display)
    else:
        statuses = plan.execute(lambda _: None)
    return Launched(chosen, scale, seeds, request.root.path, statuses)


def plan(
    study: StudyLike,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    data: Paths | None = None,
    root: Folder = None,
) -> pd.DataFrame:
    """Return one row per variant, the control first: what it changes, its size, and what is left to train.

    The user's own parts are checked, as by every worker.

    Returns:
        `variant`; `changes`, the fields that differ from the control's; `seeds`; `missing`, the keys of the runs
        without a record; `params`, of which `frozen` are never trained; `macs`, `activations` of an image; `tokens`.

    Raises:
        SpecError: when the study, its own parts or its data are not valid.
    """
    chosen = as_study(study)
    scale = chosen.scale(scale)
    request = _request(root, "local", seeds, None, data, {})
    paths = request.locate(chosen.runs(scale, seeds))
    check_own_parts(chosen, scale, paths)
    found = estimate_study(request, chosen, scale, probing=False).variants(chosen, scale)
    count = chosen.seed_count(scale, seeds)
    rows = [
        {"variant": one["variant"], "changes": one["changes"], "seeds": count, "missing": one["missing"]}
        | complexity(variant.run, *classes_of(variant.run.dataset, paths))
        for one, variant in zip(found, chosen.variants(scale), strict=True)
    ]
    return pd.DataFrame(rows)


def status(
    study: StudyLike, scale: str | None = None, *, seeds: int | None = None, root: Folder = None
) -> pd.DataFrame:
    """Return one row per run: `variant`, `seed`, `key`, `state`, and where it runs or why it failed."""
    chosen = as_study(study)
    scale = chosen.scale(scale)
    monitor = StatusMonitor(Root.at(root), chosen.runs(scale, seeds))
    return _states(chosen, scale, with_exit_reason(monitor.poll()))


def _request(
    root: Folder,
    on: str,
    seeds: int | None,
    jobs: int | None,
    data: Paths | None,
    resources: Mapping[str, Any],
    **rest: Any,
) -> RunRequest:
    """Return the request of a launch whose words are checked."""
    if on not in [*Place]:
        raise unknown("place", str(on), [*Place])
    known = [item.name for item in options()]
    for name in resources:
        if name not in known:
            raise unknown("resource", name, known)
    where: dict[str, Any] = {"root": Root.at(root), "place": Place(on), "data": absolute(data)}
    return RunRequest(**where, seeds=seeds, jobs=jobs, resources=dict(resources), detach=False, **rest)


def _states(study: Study, scale: str, statuses: Sequence[RunStatus]) -> pd.DataFrame:
    label = {variant.run: variant.label for variant in study.variants(scale)}
    texts = ("state", "worker", "job", "where", "log", "error")
    rows = [
        {"variant": label[one.run.replace(seed=0)], "seed": one.run.seed, "key": one.run.key}
        | {name: getattr(one, name) for name in texts}
        for one in statuses
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "key", *texts])
