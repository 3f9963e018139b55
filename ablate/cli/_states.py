"""Sentences about runs and studies: why some failed or were skipped, and what was started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import typer

from ablate.dispatch.all_studies import Outcome, command
from ablate.dispatch.detach import Detached
from ablate.dispatch.display import labels_of
from ablate.dispatch.status import RunStatus
from ablate.spec.printable import printable
from ablate.study.study import Study


def failures(statuses: Sequence[RunStatus], names: Mapping[str, str]) -> list[str]:
    """Return one line per cause of failure or damaged file: the first run it stopped, and how many more."""
    by_cause: dict[tuple[str, str], list[RunStatus]] = {}
    for status in statuses:
        if status.state in ("failed", "lost", "unreadable", "damaged") or (status.state == "running" and status.error):
            cause = status.error.replace(status.job, "…") if status.job and len(status.job) > 1 else status.error
            by_cause.setdefault((status.state, cause), []).append(status)
    return [_line(state, runs, names) for (state, _), runs in by_cause.items()]


def _line(state: str, runs: Sequence[RunStatus], names: Mapping[str, str]) -> str:
    first = runs[0]
    if state == "damaged":
        return f"{state:7} {names[first.run.key]}: {first.error}"
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"{state:7} {names[first.run.key]}{more}: {first.error} (ablate logs {first.run.key})"


def conclusion(study: Study, scale: str, statuses: Sequence[RunStatus]) -> list[str]:
    """Return one line per cause of failure, and what to do next."""
    names = labels_of(study, scale, [status.run for status in statuses])
    lines, number = failures(statuses, names), Counter(status.state for status in statuses)
    again = command("run", study, scale)
    if number["failed"]:
        lines.append(f"{number['failed']} of {len(statuses)} runs failed; retry them: {again} --retry-failed")
    if unfinished := number["lost"] + number["waiting"] + number["unreadable"]:
        lines.append(f"{unfinished} of {len(statuses)} runs left to train: {again}")
    return lines


def started(detached: Detached) -> list[str]:
    """Return what was started in the background, in sentences."""
    lines = []
    if detached.jobs is not None:
        arrays, count = dict.fromkeys(job.partition("_")[0] for job in detached.jobs), len(detached.jobs)
        rest = f" ({', '.join(arrays)}); output in {detached.logs}" if arrays else ": all runs are queued already"
        runs = sum(map(len, detached.jobs.values()))
        of_runs = f" with {runs} runs" if runs > count else ""
        lines.append(f"submitted {count} job{'' if count == 1 else 's'}{of_runs} to Slurm{rest}")
        lines += detached.grouping or ()
    if detached.pid is not None:
        lines.append(f"process {detached.pid} supervises the runs; its output: {detached.log}")
    return lines


def print_skipped(rest: Sequence[Outcome]) -> None:
    """Print one line for each study that failed to load, and one per reason why studies were skipped."""
    reasons: dict[str, list[str]] = {}
    for one in rest:
        if one.error:
            typer.echo(printable(f"failed {one.study}: {one.error}"))
        else:
            reasons.setdefault(one.skipped, []).append(one.study)
    for reason, studies in reasons.items():
        typer.echo(f"skipped {', '.join(studies)}: {reason}")
