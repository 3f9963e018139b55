"""The command that shows what a study, or all studies, would run, and what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._compare import print_comparison
from ablate.cli._options import (
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
    print_columns,
    print_json,
)
from ablate.cli._resources import with_resources
from ablate.cli._soundness import soundness_of, warn, warn_all
from ablate.cli._states import print_skipped
from ablate.dispatch.all_studies import at_scale, not_trained
from ablate.dispatch.data import describe
from ablate.dispatch.disk import Disk
from ablate.dispatch.estimate import Estimate, estimate_runs, estimate_study
from ablate.dispatch.plan import Place
from ablate.dispatch.request import RunRequest
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.study.compare import check_own_parts
from ablate.study.load import load
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.study.compare import Comparison

Probing = Annotated[
    bool,
    typer.Option("--probe", help="Measure a few steps of every variant on this machine.", rich_help_panel=WHERE),
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Compare each variant's model with the control's; imports torch once.")
]


@with_resources
def plan(
    name: OptionalName = None,
    scale: ScaleName = None,
    every: All = False,
    seeds: Seeds = None,
    compare: Compare = False,
    data: Data = None,
    root: Folder = None,
    on: On = Place.local,
    jobs: Jobs = None,
    probe: Probing = False,
    as_json: Json = False,
    *,
    resources: dict[str, Any],
) -> int:
    """Show what a study would run, and what each variant changes.

    The exit code is 2 where a record that the study needs was edited or damaged: its run would not be trained.

    Examples:
        ablate plan quickstart
        ablate plan quickstart --compare
        ablate plan quickstart --on slurm --probe
        ablate plan --all --scale digits
    """
    one_or_all("plan", name, every)
    request = RunRequest(
        root=Root.at(root), place=on, seeds=seeds, jobs=jobs, data=locations(data), resources=resources
    )
    if name is not None:
        return _plan_one(request, name, scale, probing=probe, comparing=compare, as_json=as_json)
    if compare:
        raise SpecError("--compare needs a study, got --all; plan one study at a time")
    return _plan_all(request, scale, probing=probe, as_json=as_json)


def _plan_one(
    request: RunRequest, name: str, scale: str | None, *, probing: bool, comparing: bool, as_json: bool
) -> int:
    study = load(name)
    scale = study.scale(scale)
    check_own_parts(study, scale, request.locate(study.runs(scale, request.seeds)))
    estimate = estimate_study(request, study, scale, probing=probing)
    variants = estimate.variants(study, scale)
    compared = _compared(request, study, scale, estimate) if comparing else []
    found = soundness_of(study, scale, request.root, request.seeds)
    if as_json:
        content = {"study": study.name, "scale": scale, "runs": estimate.total, "variants": variants}
        more = {"compare": [one.as_data() for one in compared]} if comparing else {}
        print_json(content | _takes(estimate) | more)
        return warn(found)
    typer.echo(f"{study.name} at scale {scale}: {study.question}")
    for line in describe({run.dataset for run in study.runs(scale, request.seeds)}, estimate.resources.data):
        typer.echo(line)
    typer.echo("")
    rows = [(one["variant"], len(one["missing"]), _changes(one)) for one in variants]
    print_columns([("VARIANT", "TO TRAIN", "CHANGES"), *rows])
    print_comparison(compared)
    missing = f"{len(estimate.missing)} of {estimate.total} runs to train"
    typer.echo(f"\n{not_trained(study, scale) if study.benchmark_only else missing}")
    _print_estimate(estimate, {variant.run: variant.label for variant in study.variants(scale)})
    return warn(found)


def _compared(request: RunRequest, study: Study, scale: str, estimate: Estimate) -> list[Comparison]:
    from ablate.study.compare import compare

    return compare(study, scale, request.root, dict(estimate.resources.data))


def _plan_all(request: RunRequest, scale: str | None, *, probing: bool, as_json: bool) -> int:
    """Print one row per study, then all runs together, with shared runs counted once."""
    found, rest = at_scale(scale)
    of_study = {study.name: (name, study.runs(name, request.seeds)) for study, name in found}
    runs = {run.key: run for _, some in of_study.values() for run in some}
    estimate = estimate_runs(request, list(runs.values()), probing=probing)
    missing = [run.key for run in estimate.missing]
    rows = [(name, at, len(some), sum(run.key in missing for run in some)) for name, (at, some) in of_study.items()]
    if as_json:
        studies = [dict(zip(("study", "scale", "runs", "missing"), row, strict=True)) for row in rows]
        content = {"studies": studies, "runs": len(runs), "missing": missing}
        print_json(content | {"left_out": [one.as_data() for one in rest]} | _takes(estimate))
        return warn_all(request.root)
    print_columns([("STUDY", "SCALE", "RUNS", "TO TRAIN"), *rows])
    print_skipped(rest)
    shared = sum(row[2] for row in rows) - len(runs)
    typer.echo(f"\n{len(missing)} of {len(runs)} runs to train" + (f"; {shared} more are shared" if shared else ""))
    labels = {variant.run: f"{study.name}, {variant.label}" for study, at in found for variant in study.variants(at)}
    _print_estimate(estimate, labels)
    return warn_all(request.root)


def _changes(variant: dict[str, Any]) -> str:
    """Return the fields that differ from the control's, and the error of a matched variant."""
    text = ", ".join(f"{field}={value}" for field, value in variant["changes"].items()) or "control"
    match = variant.get("match")
    return f"{text} ({match['mode']} {100 * match['error']:+.2f} %)" if match else text


def _takes(estimate: Estimate) -> dict[str, Any]:
    return {"disk": asdict(estimate.disk), "launch": estimate.as_data()}


def _print_estimate(estimate: Estimate, labels: Mapping[Run, str]) -> None:
    """Print where the missing runs would train, how long they take where that was measured, and their disk."""
    if not estimate.missing:
        return
    typer.echo(_where(estimate))
    for line in estimate.grouping.sentences() if estimate.grouping else ():
        typer.echo(line)
    for run, probe in estimate.probes.items():
        typer.echo(f"probe: {labels[run]}: {1000 * probe.step_s:.3g} ms per step, {probe.steps:,} steps per run")
    if estimate.probes:
        typer.echo(
            f"training time, from steps on {estimate.device}: {_hours(estimate.device_hours)} on one device, "
            f"at least {_hours(estimate.wall_hours)} as planned; plus evaluation, start-up and queueing"
        )
    typer.echo(_disk(estimate.disk))


def _where(estimate: Estimate) -> str:
    resources, count = estimate.resources, len(estimate.missing)
    if estimate.place is not Place.slurm:
        each = f", {resources.processes} processes each" if resources.processes > 1 else ""
        return f"{estimate.place}: {_counted(count, 'run')}, {estimate.size} side by side{each}"
    jobs = sum(estimate.arrays)
    arrays = f" in {len(estimate.arrays)} arrays ({' + '.join(map(str, estimate.arrays))})"
    minutes = estimate.grouping.limit if estimate.grouping else 0
    limit = f"a limit of {_counted(minutes, 'minute')}" if minutes else "the partition's time limit"
    nodes, processes = _counted(resources.nodes, "node"), _counted(resources.gpus_per_run, "process", "es")
    return (
        f"slurm: {_counted(jobs, 'job')}{arrays if len(estimate.arrays) > 1 else ''}, "
        f"{estimate.size} side by side; each {nodes} with {processes} and {limit}"
    )


def _counted(number: int, what: str, ending: str = "s") -> str:
    return f"{number} {what}{'' if number == 1 else ending}"


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"


def _disk(disk: Disk) -> str:
    from ablate.results.formats.units import size

    images = f", {size(disk.images)} of decoded images" if disk.images else ""
    runs = "1 run trains" if disk.side_by_side == 1 else f"{disk.side_by_side} runs train"
    return (
        f"disk: {size(disk.weights)} of weights at the end, "
        f"{size(disk.checkpoints)} of checkpoints at most while {runs}{images}"
    )
