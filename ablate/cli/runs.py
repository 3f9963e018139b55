"""The command that trains the missing runs of a study, or of all studies."""

from __future__ import annotations

import shlex
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
from ablate.cli._soundness import NOT_WHOLE, soundness_of, warn
from ablate.cli._states import conclusion
from ablate.dispatch.all_studies import not_trained
from ablate.dispatch.detach import detach
from ablate.dispatch.display import labels_of
from ablate.dispatch.plan import Place
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.dispatch.worker import work
from ablate.results.soundness import Soundness, marked
from ablate.spec.errors import SpecError
from ablate.spec.printable import printable
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
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="VARIANT", help="Train this variant only; may be given several times."),
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
    only: Only = None,
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
        ablate run quickstart --only attention --only patch_ff
        ablate run --all --scale digits
    """
    one_or_all("run", name, every)
    if every and only:
        raise SpecError("--only needs a study, got --all; run one study at a time")
    request = RunRequest(
        root=Root.at(root),
        place=on,
        seeds=seeds,
        only=only or (),
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
        target = shlex.join([name, f"--scale={scale}", f"--root={request.root.path}"])
        follow = [f"show its state: ablate status {target} --watch", f"end it: ablate cancel {target}"]
        print_detached(detach(plan, request.arguments(name, scale)), follow, as_json=as_json)
        return 0
    return _conclude(request, study, scale, execute(plan, as_json=as_json), as_json=as_json)


def _conclude(request: RunRequest, study: Study, scale: str, statuses: list[RunStatus], *, as_json: bool) -> int:
    """Print the table and the failures, write the report, and return the exit code."""
    names = labels_of(study, scale, [status.run for status in statuses])
    found = soundness_of(study, scale, request.root, request.seeds)
    if not as_json:
        _print_results(request, study, scale, statuses, found)
    page, problem = _report(request, study, scale)
    if as_json:
        runs = [status.as_data(names[status.run.key]) for status in statuses]
        print_json({"study": study.name, "scale": scale, "runs": runs, "report": page})
        warn(found)
    elif page:
        typer.echo(f"report: {page}")
    if problem:
        what = "the report does not compare the models" if page else "the report was not written"
        typer.echo(f"ablate: {what}: {printable(problem)}", err=True)
    if not found.whole:
        return NOT_WHOLE
    return int(not page or any(status.state != "done" for status in statuses))


def _print_results(request: RunRequest, study: Study, scale: str, statuses: list[RunStatus], found: Soundness) -> None:
    """Print the table and what is left to do, before the report is written, which may fail."""
    from ablate.cli.results import print_table
    from ablate.results.formats import comparison
    from ablate.results.tables import summary

    if study.benchmark_only:
        typer.echo(f"{study.name} has no runs: {not_trained(study, scale)}")
    else:
        typer.echo("")
        print_table(marked(comparison(summary(study, scale, request.seeds, request.root)), found), found)
    if request.only:  # the other variants are in the table, too
        statuses = StatusMonitor(request.root, study.runs(scale, request.seeds)).poll()
    for line in conclusion(study, scale, statuses):
        typer.echo(line)


def _report(request: RunRequest, study: Study, scale: str) -> tuple[str, str]:
    """Write the report, and return the path of its page, and what it lacks; a model that fails is not compared."""
    from ablate.report import render

    problem = ""
    for models in (True, False):
        try:
            return str(render(study, scale, request.root, request.seeds, models=models)), problem
        except SpecError as error:
            problem = problem or str(error)
    return "", problem
