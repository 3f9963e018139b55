"""The command that trains: what has no record yet, here or on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._detach import leave
from ablate.cli._every import run_all
from ablate.cli._jobs import as_data, conclusion, measured_only, names
from ablate.cli._options import All, Data, Folder, Json, NameOrAll, ScaleName, Seeds, locations, one_or_all, print_json
from ablate.cli._place import Jobs, On, Place
from ablate.cli._request import RunRequest
from ablate.cli._resources import with_resources

if TYPE_CHECKING:
    from ablate.dispatch.status import RunStatus
    from ablate.store.root import Root
    from ablate.study.study import Study


Detach = Annotated[
    bool | None,
    typer.Option("--detach/--no-detach", help="Go on without this terminal; the default on Slurm."),
]
Retries = Annotated[int, typer.Option(help="How often a run that fails is tried again in this launch.", min=0)]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="End the launch when a run has failed for good.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try runs that failed in an earlier launch again.")]


@with_resources
def run(
    name: NameOrAll = None,
    scale: ScaleName = None,
    every: All = False,
    seeds: Seeds = None,
    on: On = Place.local,
    jobs: Jobs = None,
    detach: Detach = None,
    retry: Retry = False,
    retries: Retries = 0,
    fail_fast: FailFast = False,
    data: Data = None,
    as_json: Json = False,
    root: Folder = None,
    *,
    given: dict[str, Any],
) -> int:
    """Train what has no record yet, then print the table and write the report.

    Example: ablate run quickstart
    Example: ablate run quickstart --on slurm --minutes 60 --device cpu
    Example: ablate run --all --scale digits
    """
    from ablate.dispatch.retries import Policy
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.train.distributed import alone, is_main

    one_or_all("run", name, every)
    request = RunRequest(
        root=Root.at(root),
        on=on,
        seeds=seeds,
        jobs=jobs,
        detach=detach,
        retry=retry,
        policy=Policy(retries, fail_fast),
        data=locations(data),
        given=given,
        as_json=as_json,
    )
    if on is Place.inline and not alone() and every:
        raise SpecError("--all with --on inline is in several processes; wanted is one process, or a study at a time")
    if on is Place.inline and not is_main():
        return _train_along(request.root)
    return run_all(request, scale) if name is None else _run_one(request, name, scale)


def _run_one(request: RunRequest, name: str, scale: str | None) -> int:
    """Train a study and conclude; or have it go on without this terminal."""
    from ablate.study.load import load

    study = load(name)
    scale = study.scale(scale)
    plan, missing = request.prepare(study, scale)
    if missing and request.away:
        return leave(plan, name, request.command([name], scale), as_json=request.as_json)
    return _conclude(study, scale, request, request.train(study, scale, plan, missing))


def _train_along(root: Root) -> int:
    """As one of several processes that torchrun or srun started, and not the first: train what that one says."""
    from ablate.dispatch.worker import work

    work(str(root.path), [], "")
    return 0


def _conclude(study: Study, scale: str, request: RunRequest, statuses: list[RunStatus]) -> int:
    """Write the report and print the table and what failed; the exit code says whether anything did."""
    from ablate.report import render

    labels = names(study, scale, [status.run for status in statuses])
    bad = any(status.state != "done" for status in statuses)
    page = render(study, scale, request.root, request.seeds)
    if request.as_json:
        runs = [as_data(status, labels[status.run.key]) for status in statuses]
        print_json({"study": study.name, "scale": scale, "runs": runs, "report": str(page)})
        return int(bad)
    from ablate.cli.results import print_table, summary

    if study.benchmark_only:
        typer.echo(f"{study.name} has no runs: {measured_only(study, scale)}")
    else:
        typer.echo("")
        print_table(summary(study, scale, request.seeds, request.root))
    for line in conclusion(statuses, labels):
        typer.echo(line)
    typer.echo(f"report: {page}")
    return int(bad)


COMMANDS = {"run": run}
