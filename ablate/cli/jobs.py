"""Commands about runs in work: see how they are, read a log, cancel them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._jobs import as_data, conclusion, measured_only, names
from ablate.cli._options import Folder, Json, Name, ScaleName, Seeds, print_json

if TYPE_CHECKING:
    from ablate.dispatch.status import RunStatus, StatusMonitor
    from ablate.store.root import Root

WATCH_S = 1.0
FOLLOW_S = 0.3
SHORTEST_KEY = 4  # a shorter one is more likely a study's name, mistyped
WORKING = ("queued", "running")

Watch = Annotated[bool, typer.Option("--watch", help="Show it until nothing runs any more; Ctrl-C stops only that.")]
Everything = Annotated[bool, typer.Option("--all", help="A row for every run, however many there are.")]
Key = Annotated[str, typer.Argument(metavar="RUN", help="Key of a run, or its beginning.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run has ended.")]
Target = Annotated[str, typer.Argument(metavar="STUDY|RUN", help="Name of a study, path of its file, or key of a run.")]


def status(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    watch: Watch = False,
    everything: Everything = False,
    as_json: Json = False,
    root: Folder = None,
) -> int:
    """Show what became of each run of a study, from the files under the root and from Slurm.

    Example: ablate status quickstart
    Example: ablate status quickstart --watch
    """
    from rich.text import Text

    from ablate.dispatch.display import clock, counts, open_console, screen, time_left
    from ablate.dispatch.status import StatusMonitor, with_exit_reason
    from ablate.store.root import Root
    from ablate.study.load import load

    study = load(name)
    scale = study.scale(scale)
    runs = study.runs(scale, seeds)
    monitor, labels = StatusMonitor(Root.at(root), runs), names(study, scale, runs)
    if watch and runs and not as_json:
        _watch(monitor, labels)
    statuses = with_exit_reason(monitor.poll())
    if study.benchmark_only and not as_json:
        typer.echo(f"{study.name} has no runs: {measured_only(study, scale)}")
    elif as_json:
        print_json([as_data(status, labels[status.run.key]) for status in statuses])
    else:
        console, below = open_console(sys.stdout), [*_jobs(statuses), *conclusion(statuses, labels)]
        everything = everything or not console.is_terminal
        for part in screen(statuses, labels, console, everything=everything, below=below):
            console.print(part)
        left = time_left(statuses, max(1, sum(status.state == "running" for status in statuses)))
        ending = f" · about {clock(left)} left" if left else ""
        console.print(Text.assemble(counts(statuses), ending))
        for line in below:
            console.print(line, soft_wrap=True, markup=False)
    return int(any(status.state in ("failed", "lost") for status in statuses))


def _watch(monitor: StatusMonitor, labels: dict[str, str]) -> None:
    """Show the runs until none is at work; Ctrl-C ends the watching, and nothing else."""
    from ablate.dispatch.display import Display

    try:
        with Display(labels, 1, sys.stdout) as display:
            while True:
                statuses = monitor.poll()
                display.size = max(1, sum(status.state == "running" for status in statuses))
                display(statuses)
                if not any(status.state in WORKING for status in statuses):
                    return
                time.sleep(WATCH_S)
    except KeyboardInterrupt:
        typer.echo("stopped watching; the runs go on")


def _jobs(statuses: list[RunStatus]) -> list[str]:
    """The Slurm jobs of what is at work, and where they print to."""
    working = [status for status in statuses if status.job and status.state in WORKING]
    arrays = dict.fromkeys(status.job.partition("_")[0] for status in working)
    folders = dict.fromkeys(str(Path(status.log).parent) for status in working if status.log)
    return [f"Slurm jobs {', '.join(arrays)}; output in {', '.join(folders)}"] if working else []


def logs(key: Key, follow: Follow = False, root: Folder = None) -> None:
    """Print the log of a run.

    Example: ablate logs 08e4f74ab3
    Example: ablate logs 08e4f74ab3 -f
    """
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root

    place = Root.at(root)
    key = _known(place, key)
    monitor = _monitor(place, key)
    path = _log(place, key, monitor)
    if path is None and not follow:
        raise SpecError(f"run {key} has no log yet; wanted is a run that has begun, see ablate status, or add -f")
    if not follow:
        assert path is not None
        typer.echo(path.read_text(encoding="utf-8", errors="replace"), nl=False)
        return
    try:
        _follow(place, key, monitor)
    except KeyboardInterrupt:
        typer.echo("stopped following; the run goes on", err=True)


def _known(root: Root, key: str) -> str:
    """The one run whose key begins so, among those that were ever asked for."""
    from ablate.spec.errors import SpecError

    known = sorted({path.parent.name for name in ("log.txt", "run.json") for path in root.runs.glob(f"*/{name}")})
    found = [name for name in known if name.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "there is no log of a run"
        raise SpecError(f"{what} {key!r}; known are {', '.join(known) or 'none'}")
    return found[0]


def _monitor(root: Root, key: str) -> StatusMonitor | None:
    """A look at one run; None where its request is gone: it was cancelled, or its folder came from elsewhere."""
    from ablate.dispatch.status import StatusMonitor
    from ablate.dispatch.worker import requested
    from ablate.spec.errors import SpecError

    try:
        return StatusMonitor(root, [requested(root, key)[0]])
    except (FileNotFoundError, SpecError):
        return None


def _log(root: Root, key: str, monitor: StatusMonitor | None) -> Path | None:
    """A run's own log; before it has one, what its Slurm job prints."""
    path = root.run_folder(key) / "log.txt"
    if path.exists() or monitor is None:
        return path if path.exists() else None
    said = monitor.poll()[0].log
    return Path(said) if said and Path(said).exists() else None


def _follow(root: Root, key: str, monitor: StatusMonitor | None) -> None:
    """Print a run's own log as it grows, until the run has ended."""
    from ablate.dispatch import lease

    path, read = root.run_folder(key) / "log.txt", 0
    while True:
        working = monitor is not None and monitor.poll()[0].state in WORKING
        held = lease.current(path.parent)
        working |= held is not None and held.alive  # its record is written before the log's last line
        if path.exists():
            with open(path, encoding="utf-8", errors="replace") as file:
                file.seek(read)
                typer.echo(file.read(), nl=False)
                read = file.tell()
        if not working:
            return
        time.sleep(FOLLOW_S)


def cancel(target: Target, scale: ScaleName = None, seeds: Seeds = None, root: Folder = None) -> None:
    """Cancel what is queued or running of a study, or one run, and free its claims.

    What was reached stays in checkpoints: the same launch goes on from there.

    Example: ablate cancel quickstart
    Example: ablate cancel 08e4f74ab3
    """
    from ablate.dispatch.cancel import cancel
    from ablate.dispatch.status import StatusMonitor
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.study.load import load

    place = Root.at(root)
    try:
        study = load(target)
    except SpecError:
        if not _is_key(place, target):
            raise
        monitor = _monitor(place, _known(place, target))
    else:
        monitor = StatusMonitor(place, study.runs(study.scale(scale), seeds))
    told = cancel(place, monitor) if monitor else {"runs": 0, "jobs": 0, "workers": 0}
    parts = [f"{number} {name if number != 1 else name[:-1]}" for name, number in told.items() if number]
    typer.echo(f"cancelled: {', '.join(parts)}" if parts else "nothing was queued or running")


def _is_key(root: Root, text: str) -> bool:
    """Whether a run that was asked for has a key that begins so."""
    return len(text) >= SHORTEST_KEY and any(root.runs.glob(f"{text}*/run.json"))


COMMANDS = {"status": status, "logs": logs, "cancel": cancel}
