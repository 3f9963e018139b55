"""The command that trains the missing runs of a study, or of all studies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ablate.cli._launch import execute, print_datasets, print_detached
from ablate.cli._options import (
    FAILURES,
    WHERE,
    All,
    Data,
    Folder,
    Jobs,
    Json,
    On,
    OptionalName,
    ScaleName,
    Seeds,
    locations,
    one_or_all,
    print_json,
)
from ablate.cli._resources import with_resources
from ablate.cli._run_all import run_all
from ablate.cli._states import conclusion
from ablate.dispatch.all_studies import not_trained
from ablate.dispatch.detach import detach
from ablate.dispatch.display import labels_of
from ablate.dispatch.plan import Place
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus
from ablate.dispatch.worker import work
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.load import load
from ablate.study.study import Study
from ablate.train.distributed import alone, ignored_ranks, is_main

Detach = Annotated[
    bool | None,
    typer.Option(
        "--detach/--no-detach", help="Run in the background; by default only on Slurm.", rich_help_panel=WHERE
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Retry the runs that failed in earlier launches.", rich_help_panel=FAILURES),
]
MaxRetries = Annotated[
    int,
    typer.Option(metavar="<int>", help="Retries of a run that fails in this launch.", min=0, rich_help_panel=FAILURES),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="End the launch when a run has failed for good.", rich_help_panel=FAILURES),
]


@with_resources
def run(
    name: OptionalName = None,
    scale: ScaleName = None,
    every: All = False,
    seeds: Seeds = None,
    data: Data = None,
    root: Folder = None,
    on: On = Place.local,
    jobs: Jobs = None,
    detach: Detach = None,
    retry_failed: RetryFailed = False,
    max_retries: MaxRetries = 0,
    fail_fast: FailFast = False,
    as_json: Json = False,
    *,
    resources: dict[str, Any],
) -> int:
    """Train the missing runs of a study, then print the results table and write the report.

    Examples:
        ablate run quickstart
        ablate run quickstart --on slurm --minutes 60 --device cpu
        ablate run --all --scale digits
    """
    one_or_all("run", name, every)
    request = RunRequest(
        root=Root.at(root),
        place=on,
        seeds=seeds,
        jobs=jobs,
        detach=detach,
        retry_failed=retry_failed,
        max_retries=max_retries,
        fail_fast=fail_fast,
        data=locations(data),
        resources=resources,
    )
    if on is Place.inline and (ignored := ignored_ranks()):
        typer.echo(f"ablate: {ignored}", err=True)
    if on is Place.inline and not alone() and every:
        raise SpecError("--all with --on inline needs one process, got several; run one study at a time")
    if on is Place.inline and not is_main():
        work(str(request.root.path), [], "")  # trains what the main process sends
        return 0
    if name is None:
        return run_all(request, scale, as_json=as_json)
    return _run_one(request, name, scale, as_json=as_json)


def _run_one(request: RunRequest, name: str, scale: str | None, *, as_json: bool) -> int:
    study = load(name)
    scale = study.scale(scale)
    plan = request.prepare(study, scale)
    if plan.missing and request.is_detached:
        print_datasets(plan, as_json=as_json)
        target = f"{name} --scale={scale} --root={request.root.path}"
        follow = [f"show its state: ablate status {target} --watch", f"end it: ablate cancel {target}"]
        print_detached(detach(plan, request.arguments(name, scale)), follow, as_json=as_json)
        return 0
    return _conclude(request, study, scale, execute(plan, as_json=as_json), as_json=as_json)


def _conclude(request: RunRequest, study: Study, scale: str, statuses: list[RunStatus], *, as_json: bool) -> int:
    """Write the report, print the table and the failures, and return the exit code."""
    from ablate.report import render

    names = labels_of(study, scale, [status.run for status in statuses])
    failed = any(status.state != "done" for status in statuses)
    page = render(study, scale, request.root, request.seeds)
    if as_json:
        runs = [status.as_data(names[status.run.key]) for status in statuses]
        print_json({"study": study.name, "scale": scale, "runs": runs, "report": str(page)})
        return int(failed)
    from ablate.cli.results import print_table, summary

    if study.benchmark_only:
        typer.echo(f"{study.name} has no runs: {not_trained(study, scale)}")
    else:
        typer.echo("")
        print_table(summary(study, scale, request.seeds, request.root))
    for line in conclusion(study, scale, statuses):
        typer.echo(line)
    typer.echo(f"report: {page}")
    return int(failed)
