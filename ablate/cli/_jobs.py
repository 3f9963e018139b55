"""What commands say of the states of runs: names, JSON, and why some failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.dispatch.status import RunStatus
    from ablate.spec.run import Run
    from ablate.study.study import Study


def names(study: Study, scale: str, runs: list[Run]) -> dict[str, str]:
    """What to call each run, by key: its variant and seed."""
    labels = {variant.run: variant.label for variant in study.variants(scale)}
    return {run.key: f"{labels[run.replace(seed=0)]}, seed {run.seed}" for run in runs}


def measured_only(study: Study, scale: str) -> str:
    """Why a study has no runs, and what to do instead."""
    at = "" if scale == study.scale(None) else f" --scale {scale}"
    return f"it is measured, not trained: ablate bench {study.source}{at}"


def as_data(status: RunStatus, name: str) -> dict[str, Any]:
    """One run's state, ready for JSON."""
    told = {field: getattr(status, field) for field in ("state", "worker", "job", "where", "log", "error")}
    rest = {"progress": dict(status.progress), "metrics": dict(status.metrics)}
    return {"key": status.run.key, "name": name} | told | rest


def failures(statuses: Sequence[RunStatus], names: Mapping[str, str]) -> list[str]:
    """A line for each cause of failure, with the first run it struck and how many more."""
    by_cause: dict[tuple[str, str], list[RunStatus]] = {}
    for status in statuses:
        if status.state in ("failed", "lost"):
            cause = status.error.replace(status.job, "…") if status.job and len(status.job) > 1 else status.error
            by_cause.setdefault((status.state, cause), []).append(status)
    return [_line(state, runs, names) for (state, _), runs in by_cause.items()]


def _line(state: str, runs: Sequence[RunStatus], names: Mapping[str, str]) -> str:
    first = runs[0]
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"{state:8}{names[first.run.key]}{more}: {first.error} (ablate logs {first.run.key})"


def conclusion(statuses: Sequence[RunStatus], names: Mapping[str, str]) -> list[str]:
    """Each cause of failure once, and what to do."""
    lines, number = failures(statuses, names), Counter(status.state for status in statuses)
    if number["failed"]:
        lines.append(f"{number['failed']} of {len(statuses)} runs failed; try them again with --retry")
    if unfinished := number["lost"] + number["waiting"]:
        lines.append(f"{unfinished} of {len(statuses)} runs left to train; launch the study to go on")
    return lines
