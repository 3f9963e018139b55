"""The command that trains: what has no record yet, here or on a cluster."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ablate.cli._detach import Order, leave
from ablate.cli._options import Data, Folder, Json, Name, ScaleName, Seeds, data_lines, locations, print_json
from ablate.cli._place import Jobs, On, Place, side_by_side
from ablate.cli._resources import resources as chosen
from ablate.cli._resources import with_resources, words
from ablate.cli._states import as_data, conclusion, names

if TYPE_CHECKING:
    from ablate.paths import Root
    from ablate.spec import Run
    from ablate.status import RunStatus
    from ablate.study import Study


Detach = Annotated[
    bool | None,
    typer.Option("--detach/--no-detach", help="Go on without this terminal; the default on Slurm."),
]
Retries = Annotated[int, typer.Option(help="How often a run that fails is tried again in this launch.", min=0)]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="End the launch when a run has failed for good.")]
Retry = Annotated[bool, typer.Option("--retry", help="Try runs that failed in an earlier launch again.")]


@with_resources
def run(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    on: On = Place.local,
    jobs: Jobs = None,
    detach: Detach = None,
    retry: Retry = False,
    retries: Retries = 0,
    fail_fast: FailFast = False,
    data: Data = None,
    as_json: Json = False,
    root: Folder = None,
    *,
    given: dict[str, Any],
) -> int:
    """Train what has no record yet, then print the table and write the report.

    Example: ablate run quickstart
    Example: ablate run quickstart --on slurm --minutes 60 --device cpu
    """
    from ablate.audit import check_matches
    from ablate.cli._options import check_given
    from ablate.distributed import is_main
    from ablate.launch import prepare
    from ablate.launch.policy import Policy
    from ablate.paths import Root
    from ablate.status import Survey
    from ablate.study import load

    study, place = load(name), Root.at(root)
    if on is Place.inline and not is_main():
        return _train_along(place)
    scale = study.scale(scale)
    wanted = study.runs(scale, seeds)
    used = {run.dataset for run in wanted}
    at = check_given(locations(data), used)
    resources = chosen(given, at)
    size = side_by_side(on, resources, jobs, len(wanted))
    place.make_writable()
    survey = Survey(place, wanted, resources.data)
    check_matches(study, scale, at)
    missing = prepare(place, survey, resources, retry=retry)
    for line in data_lines(used, at) if missing and not as_json else ():
        typer.echo(line)
    order = Order(place, survey, resources, str(on), jobs, size, Policy(retries, fail_fast))
    away = on is Place.slurm if detach is None else detach
    if missing and away and on is not Place.inline:
        more = given | {"scale": scale, "on": str(on), "root": place.path, "retries": retries, "data": data or []}
        more |= {name: value for name, value in (("seeds", seeds), ("jobs", jobs)) if value}
        command = [name, *words(more), *["--fail-fast"] * fail_fast]
        return leave(order, name, command, as_json=as_json)
    stream = sys.stderr if as_json else sys.stdout
    busy = missing or on is Place.inline  # inline, other processes wait to be told that nothing is left
    statuses = _train(order, missing, names(study, scale, wanted), stream) if busy else survey.look()
    return _conclude(study, scale, seeds, place, statuses, as_json=as_json)


def _train_along(root: Root) -> int:
    """As one of several processes that torchrun or srun started, and not the first: train what that one says."""
    from ablate.job import work

    work(str(root.path), [], "")
    return 0


def _train(order: Order, missing: list[Run], labels: dict[str, str], stream: TextIO) -> list[RunStatus]:
    """Bring every run to its end, showing how it goes."""
    from ablate.display import Display
    from ablate.launch import inline, launch
    from ablate.launches import Ledger

    # Handlers of our own, so that workers do not inherit an ignored SIGINT (a shell's `&`, cron) and can be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with Display(labels, order.size, stream, live=order.on != Place.inline) as display:
        if order.on == Place.inline:
            return inline(order.root, order.survey, missing, display)
        ledger = Ledger(order.root, order.on, [run.key for run in missing])
        try:
            return launch(order.root, order.survey, order.crew(ledger), ledger, display, order.policy)
        except KeyboardInterrupt:
            goes = "the jobs go on" if order.on == Place.slurm else "stopped, with a checkpoint of each run"
            display.console.print(f"{goes}; the same command goes on from there", soft_wrap=True)
            raise


def _conclude(
    study: Study, scale: str, seeds: int | None, root: Root, statuses: list[RunStatus], *, as_json: bool
) -> int:
    """Write the report and print the table and what failed; the exit code says whether anything did."""
    from ablate.report import render

    labels = names(study, scale, [status.run for status in statuses])
    bad = any(status.state != "done" for status in statuses)
    page = render(study, scale, root, seeds)
    if as_json:
        runs = [as_data(status, labels[status.run.key]) for status in statuses]
        print_json({"study": study.name, "scale": scale, "runs": runs, "report": str(page)})
        return int(bad)
    from ablate.cli.results import print_table, summary

    typer.echo("")
    print_table(summary(study, scale, seeds, root))
    for line in conclusion(statuses, labels):
        typer.echo(line)
    typer.echo(f"report: {page}")
    return int(bad)


COMMANDS = {"run": run}
