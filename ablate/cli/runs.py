"""Commands about runs: train them, see how they are, read a log."""

from __future__ import annotations

import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._options import Data, Folder, Json, Name, ScaleName, Seeds, locations, print_json

if TYPE_CHECKING:
    from ablate.paths import Root
    from ablate.resources import Resources
    from ablate.status import RunStatus, Survey
    from ablate.study import Study


class Place(StrEnum):
    """Where runs are trained."""

    local = "local"
    inline = "inline"


def run(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    on: Annotated[Place, typer.Option(help="local: worker processes, one a slot; inline: this process.")] = Place.local,
    jobs: Annotated[int | None, typer.Option(help="Slots; by default one a GPU, else cores over threads.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of a run.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes of a run that decode pictures.")] = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Try runs that failed again.")] = False,
    data: Data = None,
    as_json: Json = False,
    root: Folder = None,
) -> int:
    """Train what has no record yet, then print the table and write the report.

    Example: ablate run quickstart
    """
    from ablate.launch import slots
    from ablate.paths import Root
    from ablate.resources import Resources
    from ablate.status import Survey
    from ablate.study import load

    study, place = load(name), Root.at(root)
    scale = study.scale(scale)
    resources = Resources(threads=threads, workers=workers, data=locations(data))
    size = slots(resources, jobs)
    place.make_writable()
    survey = Survey(place, study.runs(scale, seeds), resources.data)
    statuses = _train(study, scale, place, survey, resources, on, size, retry, quiet=as_json)
    return _conclude(study, scale, seeds, place, statuses, as_json=as_json)


def _train(
    study: Study,
    scale: str,
    root: Root,
    survey: Survey,
    resources: Resources,
    on: Place,
    size: int,
    retry: bool,
    quiet: bool,
) -> list[RunStatus]:
    """Bring every run to its end, showing how it goes; on standard error where the output is JSON."""
    import sys

    from ablate.display import Display
    from ablate.launch import Local, inline, launch, prepare

    missing = prepare(root, survey, resources, retry=retry)
    if not missing:
        return survey.look()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Display(names(study, scale, survey.runs), size, sys.stderr if quiet else sys.stdout) as display:
        if on is Place.inline:
            display(survey.look())
            inline(root, missing)
            display(survey.look())
            return survey.look()
        return launch(root, survey, Local(root, resources), size, display)


def names(study: Study, scale: str, runs: list[Any]) -> dict[str, str]:
    """What to call each run, by key: its variant and seed."""
    labels = {variant.run: variant.label for variant in study.variants(scale)}
    return {run.key: f"{labels[run.but(seed=0)]}, seed {run.seed}" for run in runs}


def _conclude(
    study: Study, scale: str, seeds: int | None, root: Root, statuses: list[RunStatus], *, as_json: bool
) -> int:
    """Write the report and print the table and what failed; the exit code says whether anything did."""
    from ablate.report import render

    failed = [status for status in statuses if status.state == "failed"]
    labels = names(study, scale, [status.run for status in statuses])
    page = render(study, scale, root, seeds)
    if as_json:
        runs = [_as_json(status, labels[status.run.key]) for status in statuses]
        print_json({"study": study.name, "scale": scale, "runs": runs, "report": str(page)})
        return int(bool(failed))
    from ablate.cli.results import summary
    from ablate.formats import render as render_table

    typer.echo("\n" + render_table(summary(study, scale, seeds, root), "text"))
    for status in failed:
        typer.echo(f"failed  {labels[status.run.key]}: {status.error} (ablate logs {status.run.key})")
    if failed:
        typer.echo(f"{len(failed)} of {len(statuses)} runs failed; try them again with --retry")
    typer.echo(f"report: {page}")
    return int(bool(failed))


def status(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    as_json: Json = False,
    root: Folder = None,
) -> int:
    """Show what became of each run of a study, from the files under the root.

    Example: ablate status quickstart
    """
    from rich.console import Console

    from ablate.display import counts, table
    from ablate.paths import Root
    from ablate.status import Survey
    from ablate.study import load

    study = load(name)
    scale = study.scale(scale)
    statuses = Survey(Root.at(root), study.runs(scale, seeds)).look()
    labels = names(study, scale, [status.run for status in statuses])
    if as_json:
        print_json([_as_json(status, labels[status.run.key]) for status in statuses])
    else:
        console = Console(highlight=False)
        console.print(table(statuses, labels, most=len(statuses)))
        console.print(counts(statuses))
        for one in statuses:
            if one.state == "failed":
                console.print(f"{labels[one.run.key]}: {one.error}; see ablate logs {one.run.key}", soft_wrap=True)
    return int(any(status.state == "failed" for status in statuses))


def _as_json(status: RunStatus, name: str) -> dict[str, Any]:
    return {
        "key": status.run.key,
        "name": name,
        "state": status.state,
        "worker": status.worker,
        "error": status.error,
        "progress": dict(status.progress),
        "metrics": dict(status.metrics),
    }


def logs(
    key: Annotated[str, typer.Argument(metavar="RUN", help="Key of a run, or its beginning.")], root: Folder = None
) -> None:
    """Print the log of a run.

    Example: ablate logs b13c2d6585
    """
    from ablate.paths import Root
    from ablate.registry import SpecError

    folder = Root.at(root).runs
    found = sorted(path.parent.name for path in folder.glob(f"{key}*/log.txt"))
    if len(found) != 1:
        known = sorted(path.parent.name for path in folder.glob("*/log.txt"))
        what = f"{len(found)} runs begin with" if found else "there is no log of a run"
        raise SpecError(f"{what} {key!r}; known are {', '.join(known) or 'none'}")
    typer.echo(Path(folder, found[0], "log.txt").read_text(encoding="utf-8"), nl=False)


COMMANDS = {"run": run, "status": status, "logs": logs}
