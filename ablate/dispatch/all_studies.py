"""Launches of all named studies, one after the other. A failure of one study does not stop the next."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate.dispatch.detach import Detached, detach
from ablate.dispatch.launch import LaunchError
from ablate.dispatch.plan import LaunchPlan
from ablate.dispatch.request import RunRequest
from ablate.dispatch.status import RunStatus, State
from ablate.spec.errors import SpecError
from ablate.study.load import load, named
from ablate.study.study import Study


@dataclass
class Outcome:
    """The result of one study's launch.

    Args:
        statuses: of its runs.
        report: path of the report's page.
        skipped: why the study was not launched.
        error: why its launch failed.
        detached: what was started in the background.
    """

    study: str
    scale: str = ""
    statuses: list[RunStatus] = field(default_factory=list)
    seconds: float = 0.0
    report: str = ""
    skipped: str = ""
    error: str = ""
    detached: Detached | None = None

    @property
    def states(self) -> dict[str, State]:
        """The state of each run, by key."""
        return {status.run.key: status.state for status in self.statuses}

    @property
    def failed(self) -> bool:
        """Whether anything failed, or a run is left that nothing in the background will train."""
        number = counts(list(self.states.values()))
        return bool(self.error or number["failed"] or (number["left"] and not self.detached))

    def as_data(self) -> dict[str, Any]:
        """Return the outcome, ready for JSON."""
        rest = ("seconds", "report", "skipped", "error")
        number = counts(list(self.states.values()))
        return {"study": self.study, "scale": self.scale} | number | {name: getattr(self, name) for name in rest}


def counts(states: Sequence[State]) -> dict[str, int]:
    """Return how many runs are done, how many failed or are lost, and how many are left."""
    number = Counter(states)
    done, failed = number["done"], number["failed"] + number["lost"]
    return {"done": done, "failed": failed, "left": len(states) - done - failed}


def at_scale(scale: str | None) -> tuple[list[tuple[Study, str]], list[Outcome]]:
    """Return the named studies that train at a scale, each with it, and the others with the reason.

    Args:
        scale: None means each study's first scale.

    Raises:
        SpecError: when no study trains at that scale.
    """
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
            rest.append(Outcome(name, study.scale(scale), skipped=not_trained(study, study.scale(scale))))
        else:
            found.append((study, study.scale(scale)))
    if not found:
        raise SpecError(f"no study trains at scale {scale}; see `ablate list`")
    return found, rest


def not_trained(study: Study, scale: str) -> str:
    """Return why a benchmark-only study has no runs, and what to do instead."""
    return f"it is measured, not trained: {command('bench', study, scale)}"


def command(name: str, study: Study, scale: str) -> str:
    """Return a command about a study at a scale, quoted for a shell."""
    option = "" if scale == study.scale(None) else f" --scale {shlex.quote(scale)}"
    return f"ablate {name} {study.argument or study.name}{option}"


def run_studies(
    request: RunRequest,
    studies: Sequence[tuple[Study, str]],
    execute: Callable[[LaunchPlan], list[RunStatus]],
    report: Callable[[Study, str], str],
    begin: Callable[[Study, str], None] = lambda *_: None,
) -> Iterator[Outcome]:
    """Launch study after study, and yield the outcome of each; with `fail_fast`, end after the first failure.

    Args:
        studies: each with its scale.
        execute: trains the missing runs of a plan, as `LaunchPlan.execute` does.
        report: writes the report of a study at a scale, and returns the path of its page.
        begin: called before each study.
    """
    for study, scale in studies:
        begin(study, scale)
        outcome, started = Outcome(study.name, scale), time.monotonic()
        try:
            _run_study(outcome, request.for_study(study, scale), study, execute, report)
        except (SpecError, LaunchError) as error:
            outcome.error = str(error)
        outcome.seconds = time.monotonic() - started
        yield outcome
        if request.fail_fast and outcome.failed:
            return


def _run_study(
    outcome: Outcome,
    request: RunRequest,
    study: Study,
    execute: Callable[[LaunchPlan], list[RunStatus]],
    report: Callable[[Study, str], str],
) -> None:
    plan = request.prepare(study, outcome.scale)
    if plan.missing and request.is_detached:
        outcome.detached = detach(plan, request.arguments(study.name, outcome.scale))
        outcome.statuses = plan.monitor.poll()
    else:
        outcome.statuses = execute(plan)
        outcome.report = report(study, outcome.scale)
