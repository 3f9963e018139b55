"""The command that trains: what has no record yet, here or on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ablate.cli._options import Data, Folder, Json, Name, ScaleName, Seeds, locations, print_json
from ablate.cli._resources import resources as chosen
from ablate.cli._resources import with_resources, words
from ablate.cli._states import as_data, names, print_failures

if TYPE_CHECKING:
    from ablate.launch import Crew
    from ablate.launch.policy import Policy
    from ablate.launches import Ledger
    from ablate.paths import Root
    from ablate.resources import Resources
    from ablate.spec import Run
    from ablate.status import RunStatus, Survey
    from ablate.study import Study

START_S = 30.0


class Place(StrEnum):
    """Where runs are trained."""

    local = "local"
    slurm = "slurm"
    inline = "inline"


On = Annotated[
    Place, typer.Option(help="local: worker processes, one a slot; slurm: jobs in arrays; inline: this process.")
]
Jobs = Annotated[
    int | None,
    typer.Option(help="Runs (on Slurm: jobs) side by side; by default one a GPU, else cores over threads."),
]
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
    at = check_given(locations(data), {run.dataset for run in wanted})
    resources = chosen(given, at)
    size = _size(on, resources, jobs, len(wanted))
    place.make_writable()
    survey = Survey(place, wanted, resources.data)
    check_matches(study, scale, at)
    missing = prepare(place, survey, resources, retry=retry)
    labels = names(study, scale, wanted)
    away = on is Place.slurm if detach is None else detach
    policy = Policy(retries, fail_fast)
    if missing and away and on is not Place.inline:
        command = ["run", name, f"--scale={scale}", f"--on={on}", f"--root={place.path}", "--no-detach"]
        command += words(given | {"retries": retries} | {n: v for n, v in (("seeds", seeds), ("jobs", jobs)) if v})
        command += [f"--data={entry}" for entry in data or []] + ["--fail-fast"] * fail_fast
        return _leave(place, survey, resources, on, jobs, policy, command, as_json=as_json)
    stream = sys.stderr if as_json else sys.stdout
    statuses = _train(place, survey, missing, resources, on, jobs, size, labels, stream, policy)
    return _conclude(study, scale, seeds, place, statuses, as_json=as_json)


def _train_along(root: Root) -> int:
    """As one of several processes that torchrun or srun started, and not the first: train what that one says."""
    from ablate.job import work

    work(str(root.path), [], "")
    return 0


def _size(on: Place, resources: Resources, jobs: int | None, runs: int) -> int:
    """How many runs train side by side."""
    from ablate.launch.local import slots
    from ablate.registry import SpecError

    if on is Place.inline and resources.processes > 1:
        raise SpecError(f"a run of {resources.processes} processes cannot be trained inline; wanted is --on local")
    if on is not Place.slurm:
        return slots(resources, jobs)
    if jobs is not None and jobs < 1:
        raise SpecError(f"--jobs is {jobs}; wanted is 1 or more")
    return jobs or runs


def _crew(on: Place, root: Root, resources: Resources, ledger: Ledger, jobs: int | None, size: int) -> Crew:
    if on is Place.slurm:
        from ablate.launch.slurm import Batch

        return Batch(root, resources, ledger, jobs)
    from ablate.launch.fleet import Fleet
    from ablate.launch.local import Local

    return Fleet(Local(root, resources, Path(ledger.launch.logs)), ledger.launch.name, size)


def _train(
    root: Root,
    survey: Survey,
    missing: list[Run],
    resources: Resources,
    on: Place,
    jobs: int | None,
    size: int,
    labels: dict[str, str],
    stream: TextIO,
    policy: Policy,
) -> list[RunStatus]:
    """Bring every run to its end, showing how it goes."""
    from ablate.display import Display
    from ablate.distributed import alone
    from ablate.launch import inline, launch
    from ablate.launches import Ledger

    if not missing and (on is not Place.inline or alone()):
        return survey.look()
    # Handlers of our own, so that workers do not inherit an ignored SIGINT (a shell's `&`, cron) and can be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with Display(labels, size, stream, live=on is not Place.inline) as display:
        if on is Place.inline:
            return inline(root, survey, missing, display)
        ledger = Ledger(root, str(on), [run.key for run in missing])
        return launch(root, survey, _crew(on, root, resources, ledger, jobs, size), ledger, display, policy)


def _leave(
    root: Root,
    survey: Survey,
    resources: Resources,
    on: Place,
    jobs: int | None,
    policy: Policy,
    command: list[str],
    *,
    as_json: bool,
) -> int:
    """Start what goes on without this terminal, and say how to follow it.

    Jobs are submitted here, so that Slurm's refusal is seen. A supervisor of their own is needed only where something
    is to be done about failures; workers of this machine always have one.
    """
    from ablate.launches import Ledger

    told: dict[str, Any] = {}
    if on is Place.slurm:
        statuses = survey.look()
        ledger = Ledger(root, str(on), [status.run.key for status in statuses if status.state != "done"])
        _crew(on, root, resources, ledger, jobs, 1).fill(statuses)
        ledger.leave()
        told = {"launch": ledger.launch.name, "jobs": ledger.launch.jobs, "logs": ledger.launch.logs}
    if on is Place.local or policy.retries or policy.fail_fast:
        told |= _supervise(root, command)
    follow = f"ablate status {command[1]} {command[2]} --watch"
    if as_json:
        print_json(told | {"follow": follow})
    else:
        for line in _in_words(told):
            typer.echo(line)
        typer.echo(f"follow it: {follow}; end it: ablate cancel {command[1]}")
    return 0


def _in_words(told: Mapping[str, Any]) -> list[str]:
    lines = []
    if "jobs" in told:
        arrays = dict.fromkeys(job.partition("_")[0] for job in told["jobs"])
        count = len(told["jobs"])
        where = f" ({', '.join(arrays)}), output in {told['logs']}" if arrays else ": all runs are queued already"
        lines.append(f"{count} job{'' if count == 1 else 's'} submitted to Slurm{where}")
    if "pid" in told:
        lines.append(f"process {told['pid']} brings the runs to their end; it prints to {told['log']}")
    return lines


def _supervise(root: Root, command: list[str]) -> dict[str, Any]:
    """Start this launch in a session of its own, and wait until it has begun.

    Raises:
        LaunchError: when it ends at once.
    """
    from ablate.launch import LaunchError
    from ablate.launches import Launches

    log = root.runs / "launches" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    log.parent.mkdir(exist_ok=True)
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ablate", *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    launches, deadline = Launches(root), time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        launches.refresh()
        if any(one.owner and one.owner.pid == process.pid for one in launches.all()):
            break
        time.sleep(0.1)
    if process.poll():
        raise LaunchError(f"the launch ended at once:\n{log.read_text(errors='replace').strip()}")
    return {"pid": process.pid, "log": str(log)}


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
    print_failures(statuses, labels)
    typer.echo(f"report: {page}")
    return int(bad)


COMMANDS = {"run": run}
