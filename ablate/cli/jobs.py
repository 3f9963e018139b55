"""Commands about runs: show their states, print a log, cancel them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ablate.cli._options import Folder, Json, Name, ScaleName, Seeds, print_json
from ablate.cli._soundness import NOT_WHOLE
from ablate.cli._states import conclusion
from ablate.dispatch import lease
from ablate.dispatch.all_studies import not_trained
from ablate.dispatch.cancel import cancel as cancel_runs
from ablate.dispatch.display import Display, clock, counts, labels_of, open_console, screen, time_left
from ablate.dispatch.ledger import Launches
from ablate.dispatch.notes import read_request
from ablate.dispatch.status import RunStatus, StatusMonitor, with_exit_reason
from ablate.dispatch.worker import requested
from ablate.spec.errors import SpecError
from ablate.spec.printable import one_line, printable, shown
from ablate.store.json_files import Unreadable
from ablate.store.root import Root
from ablate.study.load import load
from ablate.study.study import Study

WATCH_S = 1.0
FOLLOW_S = 0.3
NEWEST = 5  # runs that a message names
SHORTEST_KEY = 4  # a shorter beginning of a key is more likely a mistyped study
WORKING = ("queued", "running")

Watch = Annotated[
    bool,
    typer.Option("--watch", help="Update until no run is queued or running; Ctrl-C only stops the display."),
]
Everything = Annotated[bool, typer.Option("--all", help="Show every run, however many there are.")]
Key = Annotated[str, typer.Argument(metavar="RUN", help="Key of a run, or the beginning of one.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print until the run ends.")]
Target = Annotated[str, typer.Argument(metavar="STUDY|RUN", help="Name of a study, path of its file, or key of a run.")]


def status(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    root: Folder = None,
    watch: Watch = False,
    everything: Everything = False,
    as_json: Json = False,
) -> int:
    """Show the state of every run (done, running, queued, failed, lost).

    Examples:
        ablate status quickstart
        ablate status quickstart --watch
    """
    study = load(name)
    scale = study.scale(scale)
    runs = study.runs(scale, seeds)
    monitor, names = StatusMonitor(Root.at(root), runs), labels_of(study, scale, runs)
    if watch and runs and not as_json:
        _watch(monitor, names)
    statuses = with_exit_reason(monitor.poll())
    if as_json:
        damaged = [{"key": None, "state": "unreadable", "error": line} for line in _damaged(monitor.launches)]
        print_json([*(status.as_data(names[status.run.key]) for status in statuses), *damaged])
    elif study.benchmark_only:
        typer.echo(f"{study.name} has no runs: {not_trained(study, scale)}")
    else:
        _print(study, scale, statuses, monitor.launches, everything=everything)
    return _code({status.state for status in statuses})


def _code(states: set[str]) -> int:
    """Return the exit code: 2 where a record is damaged, 1 where a run has ended without a record."""
    return NOT_WHOLE if "damaged" in states else int(not states.isdisjoint(("failed", "lost", "unreadable")))


def _print(study: Study, scale: str, statuses: list[RunStatus], launches: Launches, *, everything: bool) -> None:
    names = labels_of(study, scale, [status.run for status in statuses])
    below = [*_jobs(statuses), *_damaged(launches), *conclusion(study, scale, statuses)]
    console = open_console(sys.stdout)
    for part in screen(statuses, names, console, everything=everything or not console.is_terminal, below=below):
        console.print(part)
    left = time_left(statuses, max(1, sum(status.state == "running" for status in statuses)))
    ending = f" · about {clock(left)} left" if left else ""
    console.print(Text.assemble(counts(statuses), ending))
    for line in below:
        console.print(line, soft_wrap=True, markup=False)


def _damaged(launches: Launches) -> list[str]:
    """Return one line per file of a launch that cannot be read."""
    return [f"{one}; its runs are not known; delete it if they have ended" for one in launches.unreadable]


def _watch(monitor: StatusMonitor, names: dict[str, str]) -> None:
    """Show the runs until none is queued or running; Ctrl-C ends only the display."""
    try:
        with Display(names, 1, sys.stdout) as display:
            while True:
                statuses = monitor.poll()
                display.size = max(1, sum(status.state == "running" for status in statuses))
                display(statuses)
                if not any(status.state in WORKING for status in statuses):
                    return
                time.sleep(WATCH_S)
    except KeyboardInterrupt:
        typer.echo("stopped watching; the runs continue")


def _jobs(statuses: list[RunStatus]) -> list[str]:
    """Return one line with the live Slurm jobs and the folders of their output, if there are any."""
    working = [status for status in statuses if status.job and status.state in WORKING]
    arrays = dict.fromkeys(status.job.partition("_")[0] for status in working)
    folders = dict.fromkeys(str(Path(status.log).parent) for status in working if status.log)
    return [f"Slurm jobs {', '.join(arrays)}; output in {', '.join(folders)}"] if working else []


def logs(key: Key, follow: Follow = False, root: Folder = None) -> None:
    """Print the log of a run.

    Examples:
        ablate logs 08e4f74ab3
        ablate logs 08e4f74ab3 -f
    """
    folder = Root.at(root)
    key = _complete(folder, key)
    monitor = _monitor(folder, key)
    path = _log(folder, key, monitor)
    if path is None and not follow:
        _check_request(folder, key)
        raise SpecError(f"run {key} has no log yet; wait for it to start (ablate status), or add -f")
    if not follow:
        assert path is not None
        typer.echo(printable(path.read_text(encoding="utf-8", errors="replace")), nl=False)
        return
    try:
        _follow(folder, key, monitor)
    except KeyboardInterrupt:
        typer.echo("stopped following; the run continues", err=True)


def _complete(root: Root, key: str) -> str:
    """Return the key of the only run that was ever requested under the root and begins so."""
    paths = [path for name in ("log.txt", "run.json") for path in root.runs.glob(f"*/{name}")]
    known = list(dict.fromkeys(path.parent.name for path in sorted(paths, key=_changed, reverse=True)))
    found = [name for name in known if name.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} runs begin with" if found else "there is no log of a run"
        raise SpecError(f"{what} {shown(key)}; known runs: {_named(root, found or known)}")
    return found[0]


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _named(root: Root, keys: Sequence[str]) -> str:
    """Return the newest runs, each with its mixer, dataset and seed, and where to find the others."""
    if not keys:
        return "none"
    more = f", and {len(keys) - NEWEST} older" if len(keys) > NEWEST else ""
    return (
        f"{', '.join(_described(root, key) for key in keys[:NEWEST])}{more}; the keys of a study: ablate status STUDY"
    )


def _described(root: Root, key: str) -> str:
    request = read_request(root.run_folder(key))
    if request is None or isinstance(request, Unreadable):
        return key
    run = request["run"]
    return one_line(f"{key} ({run.get('mixer')} on {run.get('dataset')}, seed {run.get('seed')})")


def _monitor(root: Root, key: str) -> StatusMonitor | None:
    """Return a monitor of one run; None where it is no longer requested: cancelled, or copied from another root."""
    try:
        return StatusMonitor(root, [requested(root, key)[0]])
    except (FileNotFoundError, SpecError):
        return None


def _check_request(root: Root, key: str) -> None:
    """Check the request of a run.

    Raises:
        SpecError: when it is unreadable.
    """
    request = read_request(root.run_folder(key))
    if isinstance(request, Unreadable):
        raise SpecError(f"{request}; give the study that has the run: ablate status STUDY, ablate cancel STUDY")


def _log(root: Root, key: str, monitor: StatusMonitor | None) -> Path | None:
    """Return a run's own log; before there is one, the output of its Slurm job."""
    path = root.run_folder(key) / "log.txt"
    if path.exists() or monitor is None:
        return path if path.exists() else None
    output = monitor.poll()[0].log
    return Path(output) if output and Path(output).exists() else None


def _follow(root: Root, key: str, monitor: StatusMonitor | None) -> None:
    """Print a run's own log as it grows, until the run ends."""
    path, read = root.run_folder(key) / "log.txt", 0
    while True:
        working = monitor is not None and monitor.poll()[0].state in WORKING
        held = lease.current(path.parent)
        working |= held is not None and held.alive  # its record is written before the log's last line
        if path.exists():
            with open(path, encoding="utf-8", errors="replace") as file:
                file.seek(read)
                typer.echo(printable(file.read()), nl=False)
                read = file.tell()
        if not working:
            return
        time.sleep(FOLLOW_S)


def cancel(target: Target, scale: ScaleName = None, seeds: Seeds = None, root: Folder = None) -> None:
    """Cancel the queued and running jobs of a study (or one run).

    Running runs write a checkpoint first; the same `ablate run` resumes from there.

    Examples:
        ablate cancel quickstart
        ablate cancel 08e4f74ab3
    """
    folder = Root.at(root)
    try:
        study = load(target)
    except SpecError:
        if not _is_key(folder, target):
            raise
        key = _complete(folder, target)
        monitor = _monitor(folder, key)
        _check_request(folder, key)
    else:
        monitor = StatusMonitor(folder, study.runs(study.scale(scale), seeds))
    cancelled = cancel_runs(folder, monitor) if monitor else {"runs": 0, "jobs": 0, "workers": 0}
    parts = [f"{number} {name if number != 1 else name[:-1]}" for name, number in cancelled.items() if number]
    typer.echo(f"cancelled: {', '.join(parts)}" if parts else "nothing was queued or running")


def _is_key(root: Root, text: str) -> bool:
    """Whether the key of a requested run begins so."""
    return len(text) >= SHORTEST_KEY and any(root.runs.glob(f"{text}*/run.json"))
