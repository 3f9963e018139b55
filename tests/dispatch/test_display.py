"""The display of states: plain lines in a file, a table on a terminal, and estimates."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ablate.dispatch import display
from ablate.dispatch.status import RunStatus
from ablate.spec.run import Run

RUNS = [Run(pool="avg", image_size=12, patch_size=4, seed=seed) for seed in range(4)]
NAMES = {run.key: f"attention, seed {run.seed}" for run in RUNS}
DONE = {"top1": 91.25, "loss": 0.5, "total_s": 20.0}
HALF = {"epoch": 15, "epochs": 30, "eta_s": 10.0, "elapsed_s": 10.0, "train_loss": 0.75, "heldout_top1": 80.0}


def statuses(*states: str) -> list[RunStatus]:
    extra = {"done": {"metrics": DONE}, "running": {"progress": HALF}, "failed": {"error": "no luck"}}
    return [RunStatus(run, state, **extra.get(state, {})) for run, state in zip(RUNS, states, strict=False)]


def printed(*polls: list[RunStatus]) -> str:
    stream = io.StringIO()
    with display.Display(NAMES, 2, stream) as shown:
        for statuses in polls:
            shown(statuses)
    return stream.getvalue()


def test_one_line_per_change() -> None:
    first, then = statuses("running", "waiting"), statuses("done", "failed")
    lines = printed(first, first, then, then).splitlines()
    assert lines == [
        "running attention, seed 0: started",
        "done    attention, seed 0: test top-1 91.2 % in 20 s [1/2]",
        "failed  attention, seed 1: no luck [1/2]",
    ]


def test_runs_that_were_done_before_are_not_printed() -> None:
    assert printed(statuses("done", "done")) == ""


def test_no_control_codes_where_there_is_no_terminal() -> None:
    assert "\x1b" not in printed(statuses("running"), statuses("done"))


def test_table_shows_epoch_loss_accuracy_and_time_left() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(display.table(statuses("running", "done", "waiting"), NAMES, most=9, width=100))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "15/30" in text
    assert "0.750" in text
    assert "80.0 %" in text
    assert "91.2 %" in text


def test_running_runs_come_first_if_there_are_too_many() -> None:
    shown = display.table(statuses("done", "waiting", "done", "running"), NAMES, most=2, width=80)
    assert list(shown.columns[0].cells) == ["attention, seed 3", "attention, seed 1"]


def test_time_left() -> None:
    assert display.time_left(statuses("waiting"), 1) is None
    assert display.time_left(statuses("running"), 1) == pytest.approx(10)
    # One running with 10 s to go, two waiting of 20 s each, on two slots.
    assert display.time_left(statuses("running", "waiting", "waiting"), 2) == pytest.approx(25)
    assert display.time_left(statuses("done", "done"), 2) == pytest.approx(0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (125, "2:05"), (7265, "2:01:05")]
)
def test_clock(seconds: float, text: str) -> None:
    assert display.clock(seconds) == text


MANY = [Run(pool="avg", image_size=12, patch_size=4, seed=seed) for seed in range(200)]
STATES = ["running"] * 6 + ["failed"] * 2 + ["lost"] + ["queued"] * 91 + ["done"] * 100


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_two_hundred_runs_on_one_screen(width: int, height: int) -> None:
    extra = {"done": {"metrics": DONE}, "running": {"progress": HALF, "where": "node7 3", "job": "12_3"}}
    found = [RunStatus(run, state, **extra.get(state, {})) for run, state in zip(MANY, reversed(STATES), strict=True)]
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    names = {run.key: f"attention with a long list of changed fields, seed {run.seed}" for run in MANY}
    below = ["a cause of failure", "x" * (width + 1)]
    for part in display.screen(found, names, console, below=below):
        console.print(part)
    console.print(display.counts(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    lines = text.splitlines()
    assert len(lines) <= height - 4, "the lines below and a prompt fit"
    assert max(map(len, lines)) <= width
    assert all(found[at].run.key in text for at in range(-6, 0)), "keys are whole"
    assert text.count("running") == 7, "what runs is shown, and counted"
    assert text.count("failed") == 3
    assert ("job 12_3 node7 3" in text) is (width >= display.WITH_PLACES)
    left_out = 200 - (height - display.AROUND - 3)
    assert f"and {left_out} more: " in text
    assert "100 done" in lines[-1]


def test_all_rows_on_request() -> None:
    console = Console(file=io.StringIO(), width=80, height=24)
    found = [RunStatus(run, "queued") for run in MANY]
    (grid,) = display.screen(found, {run.key: "x" for run in MANY}, console, everything=True)
    assert len(grid.rows) == 200  # type: ignore[attr-defined]


def test_names_are_shortened_by_what_they_share() -> None:
    """What distinguishes them stays, be it at the end or in the middle."""
    long = {str(seed): f"attention with a long list of changed fields, dim={seed}0, seed {seed}" for seed in range(3)}
    assert display.shortened(long, 20) == {str(seed): f"…dim={seed}0, seed {seed}" for seed in range(3)}
    assert display.shortened(long, 99) == long
    cut = display.shortened({"a": "x" * 30 + "1", "b": "x" * 30 + "2"}, 12)
    assert all(len(name) == 12 for name in cut.values())
    assert cut["a"] != cut["b"]


def test_an_interrupted_run_shows_its_epoch() -> None:
    grid = display.table([RunStatus(MANY[0], "waiting", progress=HALF)], NAMES, most=9, width=80)
    assert [next(iter(column.cells)) for column in grid.columns[2:6]] == ["15/30", "0.750", "80.0 %", ""]


def test_a_run_without_a_pace_shows_no_remaining_time() -> None:
    started = RunStatus(MANY[0], "running", progress={"epoch": 0, "epochs": 30, "elapsed_s": 9.0})
    grid = display.table([started], NAMES, most=9, width=80)
    assert list(grid.columns[5].cells) == [""]
    assert display.time_left([started], 1) is None


class ClosedTerminal(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_only_ends_the_display() -> None:
    with display.Display(NAMES, 2, ClosedTerminal()) as shown:
        shown(statuses("running"))
        shown(statuses("done"))


def test_a_queued_run_shows_what_it_waits_for() -> None:
    grid = display.table([RunStatus(MANY[0], "queued", job="12_3", error="Priority")], NAMES, most=9, width=100)
    assert list(grid.columns[6].cells) == ["job 12_3 Priority"]
