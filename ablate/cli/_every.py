"""Every named study, one after the other: `ablate run --all`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._detach import in_words, leave_all, submit
from ablate.cli._jobs import conclusion, measured_only, names
from ablate.cli._options import check_given, print_columns, print_json
from ablate.cli._place import Place

if TYPE_CHECKING:
    from ablate.cli._request import RunRequest
    from ablate.study.study import Study


@dataclass
class Outcome:
    """What became of a study.

    Args:
        states: of its runs, by key.
        skipped: why nothing was asked of it.
        error: why it could not be trained.
    """

    study: str
    scale: str = ""
    states: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    report: str = ""
    skipped: str = ""
    error: str = ""

    def as_data(self) -> dict[str, Any]:
        """Ready for JSON."""
        rest = ("seconds", "report", "skipped", "error")
        return {"study": self.study, "scale": self.scale} | counts(self.states) | {k: getattr(self, k) for k in rest}


def counts(states: Mapping[str, str]) -> dict[str, int]:
    """How many runs are done, how many failed, and how many are left."""
    number = Counter(states.values())
    done, failed = number["done"], number["failed"] + number["lost"]
    return {"done": done, "failed": failed, "left": len(states) - done - failed}


def run_all(request: RunRequest, scale: str | None) -> int:
    """Train every named study at a scale, those without it left out; the exit code says whether anything failed."""
    studies, rest = at_scale(scale)
    outcomes: list[Outcome] = []
    _check_data(request, studies)
    if request.away and request.on is not Place.slurm:
        return leave_all(request.root, request.command(["--all"], scale), as_json=request.as_json)
    try:
        for at, (study, name) in enumerate(studies, 1):
            _say(request, f"\n{study.name} at scale {name}, {at} of {len(studies)}: {study.question}")
            outcomes.append(_one(request, study, name))
            if request.policy.fail_fast and _is_bad(outcomes[-1], away=request.away):
                break
    finally:
        if not request.as_json:
            _print(outcomes, rest)
            _say_unfinished([study.name for study, _ in studies[len(outcomes) :]])
    if request.as_json:
        print_json([one.as_data() for one in (*outcomes, *rest)])
    return int(any(_is_bad(one, away=request.away) for one in (*outcomes, *rest)))


def _is_bad(outcome: Outcome, *, away: bool) -> bool:
    """Whether something failed, or is left though nobody goes on with it."""
    number = counts(outcome.states)
    return bool(outcome.error or number["failed"] or (number["left"] and not away))


def at_scale(scale: str | None) -> tuple[list[tuple[Study, str]], list[Outcome]]:
    """The named studies that can be trained at a scale, each with it; and the rest, with the reason.

    Args:
        scale: None is each study's first one.

    Raises:
        SpecError: when no study has that scale.
    """
    from ablate.spec.errors import SpecError
    from ablate.study.load import load, named

    found, rest = [], []
    for name in sorted(named()):
        try:
            study = load(name)
        except SpecError as error:
            rest.append(Outcome(name, scale or "", error=str(error).splitlines()[0]))
            continue
        if scale is not None and scale not in study.scales:
            rest.append(Outcome(name, scale, skipped=f"no scale {scale}"))
        elif study.benchmark_only:
            rest.append(Outcome(name, study.scale(scale), skipped=measured_only(study, study.scale(scale))))
        else:
            found.append((study, study.scale(scale)))
    if not found:
        raise SpecError(f"no study that trains has the scale {scale}; see ablate list")
    return found, rest


def _check_data(request: RunRequest, studies: Sequence[tuple[Study, str]]) -> None:
    """What is wrong with the data of any study is said before the first one is trained."""
    check_given({**request.data}, {run.dataset for study, scale in studies for run in study.runs(scale)})


def _one(request: RunRequest, study: Study, scale: str) -> Outcome:
    """Train a study, or hand it to Slurm, and write its report; its own failure stops no other."""
    from ablate.dispatch.launch import LaunchError
    from ablate.spec.errors import SpecError

    outcome, began = Outcome(study.name, scale), time.monotonic()
    try:
        _fill(outcome, request, study, scale)
    except (SpecError, LaunchError) as error:
        outcome.error = str(error)
    outcome.seconds = time.monotonic() - began
    return outcome


def _fill(outcome: Outcome, request: RunRequest, study: Study, scale: str) -> None:
    from ablate.report import render

    request = request.of(study, scale)
    plan, missing = request.prepare(study, scale)
    if missing and request.away:
        told = submit(plan, request.command([study.name], scale))
        outcome.states = {status.run.key: status.state for status in plan.monitor.poll()}
        _say(request, *in_words(told))
        return
    statuses = request.train(study, scale, plan, missing)
    outcome.states = {status.run.key: status.state for status in statuses}
    outcome.report = str(render(study, scale, request.root, request.seeds))
    _say(request, *conclusion(statuses, names(study, scale, plan.monitor.runs)), f"report: {outcome.report}")


def _say(request: RunRequest, *lines: str) -> None:
    for line in lines:
        typer.echo(line, err=request.as_json)


def _print(outcomes: Sequence[Outcome], rest: Sequence[Outcome]) -> None:
    """A row a study, all together (a run that several have counts once there), and why the rest was left out."""
    from ablate.dispatch.display import clock

    everything = {key: state for one in outcomes for key, state in one.states.items()}
    rows = [(one.study, one.scale, *counts(one.states).values(), clock(one.seconds), one.error) for one in outcomes]
    rows.append(("all", "", *counts(everything).values(), clock(sum(one.seconds for one in outcomes)), ""))
    typer.echo("")
    print_columns([("STUDY", "SCALE", "DONE", "FAILED", "LEFT", "TIME", ""), *rows])
    say_left_out(rest)


def _say_unfinished(studies: Sequence[str]) -> None:
    if studies:
        typer.echo(f"not finished: {', '.join(studies)}")


def say_left_out(rest: Sequence[Outcome]) -> None:
    """A line for each reason why studies were left out."""
    reasons: dict[str, list[str]] = {}
    for one in rest:
        reasons.setdefault(one.skipped, []).append(one.study)
        if one.error:
            typer.echo(f"failed {one.study}: {one.error}")
    for reason, studies in reasons.items():
        if reason:
            typer.echo(f"skipped {', '.join(studies)}: {reason}")
