"""What every named study would run, and what that takes together: `ablate plan --all`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._disk import disk_in_words, disk_of
from ablate.cli._estimate import estimate, print_estimate
from ablate.cli._every import at_scale, say_left_out
from ablate.cli._options import check_given, print_columns, print_json
from ablate.cli._place import Place, side_by_side
from ablate.cli._resources import resources

if TYPE_CHECKING:
    from ablate.store.root import Root


def plan_all(
    root: Root,
    scale: str | None,
    *,
    seeds: int | None,
    on: Place,
    jobs: int | None,
    probe: bool,
    data: Mapping[str, str],
    given: Mapping[str, Any],
    as_json: bool,
) -> None:
    """A row a study, and all runs together: one that several studies have counts once there."""
    from ablate.dispatch.status import StatusMonitor

    found, rest = at_scale(scale)
    of_study = {study.name: (name, study.runs(name, seeds)) for study, name in found}
    labels = {
        variant.run: f"{study.name}, {variant.label}" for study, name in found for variant in study.variants(name)
    }
    runs = {run.key: run for _, some in of_study.values() for run in some}
    at = check_given({**data}, {run.dataset for run in runs.values()})
    statuses = StatusMonitor(root, list(runs.values()), at).poll()
    missing = {status.run.key: status.run for status in statuses if status.state != "done"}
    rows = [(name, at_, len(some), sum(run.key in missing for run in some)) for name, (at_, some) in of_study.items()]
    chosen, lacking = resources(given, at), list(missing.values())
    size = side_by_side(on, chosen, jobs, len(lacking))
    told, disk = estimate(on, chosen, lacking, size, probing=probe), disk_of(lacking, at, size)
    if as_json:
        studies = [dict(zip(("study", "scale", "runs", "missing"), row, strict=True)) for row in rows]
        content = {
            "studies": studies,
            "runs": len(runs),
            "missing": list(missing),
            "left_out": [one.as_data() for one in rest],
        }
        print_json(content | {"disk": asdict(disk), "launch": told.as_data()})
        return
    print_columns([("STUDY", "SCALE", "RUNS", "TO TRAIN"), *rows])
    say_left_out(rest)
    shared = sum(row[2] for row in rows) - len(runs)
    typer.echo(f"\n{len(missing)} of {len(runs)} runs to train" + (f"; {shared} more are shared" if shared else ""))
    if missing:
        print_estimate(told, labels)
        typer.echo(disk_in_words(disk))
