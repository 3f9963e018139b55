"""`ablate run --all`: every named study, one after the other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import typer

from ablate.cli._launch import execute, print_detached
from ablate.cli._options import print_columns, print_json
from ablate.cli._soundness import warn_all
from ablate.cli._states import conclusion, print_skipped, started
from ablate.dispatch.all_studies import Outcome, at_scale, counts, run_studies
from ablate.dispatch.detach import supervise
from ablate.dispatch.display import clock
from ablate.dispatch.plan import LaunchPlan, Place
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus, State
from ablate.study.study import Study


class _Steps:
    """What happens for each study, with one line of output per step; on standard error where JSON is requested."""

    def __init__(self, request: RunRequest, studies: int, *, as_json: bool) -> None:
        self.request, self.studies, self.as_json = request, studies, as_json
        self.number = 0

    def begin(self, study: Study, scale: str) -> None:
        self.number += 1
        self.say(f"\n{study.name} at scale {scale}, {self.number} of {self.studies}: {study.question}")

    def execute(self, plan: LaunchPlan) -> list[RunStatus]:
        statuses = execute(plan, as_json=self.as_json)
        self.say(*conclusion(plan.study, plan.scale, statuses))
        return statuses

    def report(self, study: Study, scale: str) -> str:
        from ablate.report import render

        page = str(render(study, scale, self.request.root, self.request.seeds))
        self.say(f"report: {page}")
        return page

    def say(self, *lines: str) -> None:
        for line in lines:
            typer.echo(line, err=self.as_json)


def run_all(request: RunRequest, scale: str | None, *, as_json: bool) -> int:
    """Train every named study that has a scale, and return the exit code: 2 with damaged records, 1 after a failure."""
    studies, rest = at_scale(scale)
    request.locate([run for study, name in studies for run in study.runs(name)])
    if request.is_detached and request.place is not Place.slurm:
        _detach_all(request, scale, as_json=as_json)
        return 0
    outcomes: list[Outcome] = []
    steps = _Steps(request, len(studies), as_json=as_json)
    try:
        for outcome in run_studies(request, studies, steps.execute, steps.report, steps.begin):
            outcomes.append(outcome)
            steps.say(*(started(outcome.detached) if outcome.detached else ()))
    finally:
        if not as_json:
            _print_outcomes(outcomes, rest)
            if unfinished := [study.name for study, _ in studies[len(outcomes) :]]:
                typer.echo(f"not finished: {', '.join(unfinished)}")
    if as_json:
        print_json([one.as_data() for one in (*outcomes, *rest)])
    return warn_all(request.root) or int(any(one.failed for one in (*outcomes, *rest)))


def _detach_all(request: RunRequest, scale: str | None, *, as_json: bool) -> None:
    request.root.make_writable()
    detached = supervise(request.root, request.arguments(None, scale))
    follow = [
        f"show its state: ablate list {shlex.quote(f'--root={request.root.path}')}",
        f"end it: kill {detached.pid}",
    ]
    print_detached(detached, follow, as_json=as_json)


def _print_outcomes(outcomes: Sequence[Outcome], rest: Sequence[Outcome]) -> None:
    """Print one row per study, then their sum, with shared runs counted once, and why other studies were skipped."""
    everything: dict[str, State] = {key: state for one in outcomes for key, state in one.states.items()}
    rows = [
        (one.study, one.scale, *counts(list(one.states.values())).values(), clock(one.seconds), one.error)
        for one in outcomes
    ]
    total = counts(list(everything.values())).values()
    rows.append(("all", "", *total, clock(sum(one.seconds for one in outcomes)), ""))
    typer.echo("")
    print_columns([("STUDY", "SCALE", "DONE", "FAILED", "LEFT", "TIME", ""), *rows])
    print_skipped(rest)
