"""Commands about runs: train them, see how they are, read a log."""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ablate.cli._options import Data, Folder, Json, Name, ScaleName, Seeds, locations, print_json

if TYPE_CHECKING:
    from ablate.paths import Root
    from ablate.resources import Resources
    from ablate.spec import Run
    from ablate.status import RunStatus, Survey
    from ablate.study import Study


WIDE = 72  # columns from which a run's key has room beside its state


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
    from ablate.audit import check_matches
    from ablate.cli._options import check_given
    from ablate.launch import prepare
    from ablate.launch.local import slots
    from ablate.paths import Root
    from ablate.resources import Resources
    from ablate.status import Survey
    from ablate.study import load

    study, place = load(name), Root.at(root)
    scale = study.scale(scale)
    wanted = study.runs(scale, seeds)
    given = check_given(locations(data), {run.dataset for run in wanted})
    resources = Resources(threads=threads, workers=workers, data=given)
    size = slots(resources, jobs)
    place.make_writable()
    survey = Survey(place, wanted, resources.data)
    check_matches(study, scale, given)
    missing = prepare(place, survey, resources, retry=retry)
    labels = names(study, scale, wanted)
    statuses = _train(place, survey, missing, resources, on, size, labels, sys.stderr if as_json else sys.stdout)
    return _conclude(study, scale, seeds, place, statuses, as_json=as_json)


def _train(
    root: Root,
    survey: Survey,
    missing: list[Run],
    resources: Resources,
    on: Place,
    size: int,
    labels: dict[str, str],
    stream: TextIO,
) -> list[RunStatus]:
    """Bring every run to its end, showing how it goes."""
    from ablate.display import Display
    from ablate.launch import inline, launch
    from ablate.launch.local import Local

    if not missing:
        return survey.look()
    # Handlers of our own, so that workers do not inherit an ignored SIGINT (a shell's `&`, cron) and can be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with Display(labels, size, stream, live=on is not Place.inline) as display:
        if on is Place.inline:
            return inline(root, survey, missing, display)
        return launch(root, survey, Local(root, resources), size, display)


def names(study: Study, scale: str, runs: list[Run]) -> dict[str, str]:
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
    from ablate.cli.results import print_table, summary

    typer.echo("")
    print_table(summary(study, scale, seeds, root))
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
    from ablate.display import counts, open_console, table
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
        console = open_console(sys.stdout)
        console.print(table(statuses, labels, most=len(statuses), keys=console.width >= WIDE))
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

    Example: ablate logs 08e4f74ab3
    """
    from ablate.paths import Root
    from ablate.registry import SpecError

    known = sorted(path.parent.name for path in Root.at(root).runs.glob("*/log.txt"))
    found = [name for name in known if name.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "there is no log of a run"
        raise SpecError(f"{what} {key!r}; known are {', '.join(known) or 'none'}")
    log = Root.at(root).run_folder(found[0]) / "log.txt"
    typer.echo(log.read_text(encoding="utf-8", errors="replace"), nl=False)


COMMANDS = {"run": run, "status": status, "logs": logs}
