"""The states of runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ablate.dispatch.status import TO_TRAIN, RunStatus, State
from ablate.spec.run import Run
from ablate.study.study import Study

COLOURS: dict[State, str] = {
    "done": "green",
    "running": "cyan",
    "queued": "yellow",
    "waiting": "dim",
    "lost": "magenta",
    "failed": "red",
    "unreadable": "red",
    "damaged": "red",
}
INTEREST: tuple[State, ...] = ("running", "failed", "lost", "unreadable", "damaged", "queued", "waiting", "done")
AROUND = 5  # lines of a screen without the rows: heading, number of hidden runs, counts, prompt
NUMBERS = 45  # columns of the state and the numbers of a row
WITH_KEYS, WITH_PLACES = 72, 100  # widths from which keys and places are shown


class _Console(Console):
    """A console of rich that raises BrokenPipeError instead of exiting, so that the caller can handle it."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def open_console(stream: TextIO) -> Console:
    """Return a console on a stream, without syntax highlighting."""
    return _Console(file=stream, highlight=False)


def labels_of(study: Study, scale: str, runs: Sequence[Run]) -> dict[str, str]:
    """Return what to call each run, by key: its variant and seed."""
    labels = {variant.run: variant.label for variant in study.variants(scale)}
    return {run.key: f"{labels[run.replace(seed=0)]}, seed {run.seed}" for run in runs}


class Display:
    """Shows the states of runs each time it is called.

    Args:
        names: what to call each run, by key.
        size: number of slots, for the estimate of the remaining time.
        stream: the output; a terminal gets a table that is updated in place.
        live: False prints plain lines on a terminal, too.
    """

    def __init__(self, names: Mapping[str, str], size: int, stream: TextIO, *, live: bool = True) -> None:
        self.names, self.size = names, size
        self.console = open_console(stream)
        self.started = time.monotonic()
        self.seen: dict[str, str] = {}
        self.broken = False
        table_fits = live and self.console.is_terminal
        self.live = Live(console=self.console, auto_refresh=False, transient=True) if table_fits else None

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            with suppress(OSError):
                self.live.stop()

    def __call__(self, statuses: Sequence[RunStatus]) -> None:
        """Show the current states. A failure, such as a closed terminal or a full disk, only ends the display."""
        if self.broken:
            return
        try:
            self._show(statuses)
        except (OSError, UnicodeError, ValueError):
            self.broken = True

    def _show(self, statuses: Sequence[RunStatus]) -> None:
        for line in self._news(statuses):
            self.console.print(line, soft_wrap=True)
        if self.live:
            shown = screen(statuses, self.names, self.console)
            self.live.update(Group(*shown, self._summary(statuses)), refresh=True)

    def _news(self, statuses: Sequence[RunStatus]) -> Iterator[Text]:
        """Yield one line for each run that started or ended since the last call."""
        done = sum(status.state == "done" for status in statuses)
        first = not self.seen
        for status in statuses:
            if self.seen.get(status.run.key) == status.state:
                continue
            self.seen[status.run.key] = status.state
            ended = status.state in ("done", "failed", "lost", "unreadable", "damaged") and not first
            if ended or (status.state == "running" and not self.live):
                yield self._line(status, f"[{done}/{len(statuses)}]" if ended else "")

    def _line(self, status: RunStatus, count: str) -> Text:
        detail = "started" if status.state == "running" else status.error
        if status.state == "done":
            detail = f"test top-1 {status.metrics['top1']:.1f} % in {clock(status.metrics['total_s'])}"
        name = self.names[status.run.key]
        return Text.assemble((f"{status.state:7} ", COLOURS[status.state]), f"{name}: {detail} {count}".rstrip())

    def _summary(self, statuses: Sequence[RunStatus]) -> Text:
        left = time_left(statuses, self.size)
        ending = f" · about {clock(left)} left" if left is not None else ""
        elapsed = clock(time.monotonic() - self.started)
        return Text.assemble(counts(statuses), f" · {elapsed} elapsed{ending}")


def counts(statuses: Sequence[RunStatus]) -> Text:
    """Return how many runs are in each state; done, running and failed are always shown."""
    number = Counter(status.state for status in statuses)
    shown = [state for state in COLOURS if number[state] or state in ("done", "running", "failed")]
    parts = [(f"{number[state]} {state}", COLOURS[state] if number[state] else "dim") for state in shown]
    return Text(" · ").join(Text(*part) for part in parts)


def screen(
    statuses: Sequence[RunStatus],
    names: Mapping[str, str],
    console: Console,
    *,
    everything: bool = False,
    below: Sequence[str] = (),
) -> list[RenderableType]:
    """Return the runs as a table that fits the console, and a line that counts the hidden runs.

    Args:
        everything: show all rows, however many there are.
        below: lines that will be printed below the table.
    """
    width = console.width
    most = max(3, console.height - AROUND - sum(1 + (len(line) - 1) // width for line in below))
    most = len(statuses) if everything else most
    shown = [table(statuses, names, most=most, width=width)]
    hidden = sorted(statuses, key=_interest)[most:]
    return [*shown, Text.assemble(f"and {len(hidden)} more: ", counts_of(hidden))] if hidden else [*shown]


def counts_of(statuses: Sequence[RunStatus]) -> Text:
    """Return how many runs are in each state that occurs."""
    number = Counter(status.state for status in statuses)
    return Text(", ").join(Text(f"{number[state]} {state}", COLOURS[state]) for state in COLOURS if number[state])


def table(statuses: Sequence[RunStatus], names: Mapping[str, str], *, most: int, width: int) -> Table:
    """Return one row per run; if there are too many, the active and failed ones come first.

    A wide terminal also shows each run's key, and where it runs or what it waits for.

    Args:
        most: the largest number of rows.
        width: columns of the terminal.
    """
    keys, places = width >= WITH_KEYS, width >= WITH_PLACES
    grid = Table(box=None, pad_edge=False, header_style="dim")
    room = max(10, width - NUMBERS - 12 * keys - 22 * places)
    grid.add_column("run", no_wrap=True, overflow="ellipsis", max_width=room)
    grid.add_column("state", no_wrap=True, min_width=7)
    for heading in ("epoch", "loss", "top-1", "left"):
        grid.add_column(heading, justify="right", no_wrap=True, min_width=6)
    if places:
        grid.add_column("where", no_wrap=True, overflow="ellipsis")
    if keys:
        grid.add_column("key", no_wrap=True, min_width=10)
    shown = statuses if len(statuses) <= most else sorted(statuses, key=_interest)[:most]
    short = shortened({status.run.key: names[status.run.key] for status in shown}, room)
    for status in shown:
        state = Text(status.state, COLOURS[status.state])
        more = [*([_place(status)] if places else []), *([status.run.key] if keys else [])]
        grid.add_row(short[status.run.key], state, *_cells(status), *more)
    return grid


def shortened(names: Mapping[str, str], room: int) -> dict[str, str]:
    """Return names that fit into some columns and keep what distinguishes them: what all share is left out first."""
    if all(len(name) <= room for name in names.values()):
        return dict(names)
    first, last = min(names.values()), max(names.values())
    equal = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), 0)
    start = first[:equal].rfind(" ") + 1
    return {key: _cut(f"…{name[start:]}" if start > 1 else name, room) for key, name in names.items()}


def _cut(name: str, room: int) -> str:
    """Return a name without its middle if it does not fit."""
    half = (room - 1) // 2
    return name if len(name) <= room else f"{name[: room - 1 - half]}…{name[-half:]}"


def _interest(status: RunStatus) -> int:
    return INTEREST.index(status.state)


def _place(status: RunStatus) -> str:
    """Return where a run is, or what a queued one waits for."""
    if status.state not in ("running", "queued", "lost"):
        return ""
    job = f"job {status.job}" if status.job else ""
    detail = status.where if status.state == "running" else status.error if status.state == "queued" else ""
    return " ".join(part for part in (job, detail) if part)


def _cells(status: RunStatus) -> tuple[str, str, str, str]:
    """Return epoch, loss, top-1 (held-out while training, test when done) and remaining time."""
    if status.state == "done":
        epochs = str(status.run.epochs)
        return f"{epochs}/{epochs}", f"{status.metrics['loss']:.3f}", f"{status.metrics['top1']:.1f} %", ""
    progress = status.progress
    if status.state == "failed" or not progress:
        return "", "", "", ""
    left = progress.get("eta_s") if status.state == "running" else None
    ending = "" if left is None else clock(left)
    loss = f"{progress['train_loss']:.3f}" if "train_loss" in progress else ""
    top1 = f"{progress['heldout_top1']:.1f} %" if "heldout_top1" in progress else ""
    return f"{progress['epoch']}/{progress['epochs']}", loss, top1, ending


def time_left(statuses: Sequence[RunStatus], size: int) -> float | None:
    """Return the estimated seconds until all runs are done, from finished and running ones; None without any."""
    paced = [s for s in statuses if s.state == "running" and s.progress.get("eta_s") is not None]
    running = [float(s.progress["eta_s"]) for s in paced]
    whole = [float(s.metrics["total_s"]) for s in statuses if s.state == "done"]
    whole += [s.progress["elapsed_s"] + s.progress["eta_s"] for s in paced]
    if not whole:
        return None
    waiting = sum(status.state in TO_TRAIN for status in statuses)
    return max([*running, (sum(running) + waiting * sum(whole) / len(whole)) / size])


def clock(seconds: float) -> str:
    """Return seconds as 0.4 s, 41 s, 2:05 or 3:10:00."""
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
