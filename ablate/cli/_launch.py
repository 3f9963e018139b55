"""What the user sees of one launch: its datasets, its progress, and what runs in the background."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import typer

from ablate.cli._options import print_json
from ablate.cli._states import started
from ablate.dispatch.data import describe
from ablate.dispatch.detach import Detached
from ablate.dispatch.display import Display, labels_of
from ablate.dispatch.plan import LaunchPlan, Place
from ablate.dispatch.status import RunStatus


def print_datasets(plan: LaunchPlan, *, as_json: bool) -> None:
    """Print one line for each dataset on disk that the missing runs need."""
    used = {run.dataset for run in plan.monitor.runs}
    for line in describe(used, plan.resources.data) if plan.missing and not as_json else ():
        typer.echo(line)


def print_detached(detached: Detached, follow: Sequence[str], *, as_json: bool) -> None:
    """Print what was started in the background, and which commands follow and end it."""
    if as_json:
        print_json(detached.as_data())
        return
    for line in [*started(detached), *follow]:
        typer.echo(line)


def execute(plan: LaunchPlan, *, as_json: bool) -> list[RunStatus]:
    """Train the missing runs of a plan while showing their states, and return the final states."""
    print_datasets(plan, as_json=as_json)
    # Our own handlers, so that workers do not inherit an ignored SIGINT (a shell's `&`, cron) and can be stopped.
    # A closed terminal (SIGHUP) stops like Ctrl-C, unless nohup has it ignored.
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    for number in (signal.SIGINT, signal.SIGTERM, *hangup):
        signal.signal(number, signal.default_int_handler)
    names = labels_of(plan.study, plan.scale, plan.monitor.runs)
    if not plan.missing:
        return plan.execute(lambda _: None)
    stream = sys.stderr if as_json else sys.stdout
    with Display(names, plan.size, stream, live=plan.place is not Place.inline) as display:
        try:
            return plan.execute(display)
        except KeyboardInterrupt:
            runs = "The jobs continue." if plan.place is Place.slurm else "Stopped; every run has a checkpoint."
            display.console.print(f"{runs} Run the same command to resume.", soft_wrap=True)
            raise
