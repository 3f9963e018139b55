"""What a session says while it works, on a terminal and elsewhere."""

from __future__ import annotations

import io
import time

import pytest

from ablate.measure.progress import Watch
from ablate.measure.session import Progress

MODE = "bf16-compile-nchw-training"
NEWS = [
    Progress(0, 2, MODE, 64, "round 1 of 5", "attention"),
    Progress(1, 2, MODE, 64, rates={"attention": 1234.5, "patch_ff": "out of memory"}, drift=-0.05, finished=True),
    Progress(1, 2, MODE, 16, "warm-up", "patch_ff"),
    Progress(2, 2, MODE, 16, rates={"attention": 99.0}, drift=0.01, finished=True),
]
UNKNOWN = Progress(1, 1, MODE, 16, rates={"attention": 99.0}, drift_known=False, finished=True)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """What all the news look like, a minute apart."""
    clock = iter(range(0, 6000, 60))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Watch(stream) as watch:
        for news in NEWS:
            watch(news)
    return stream.getvalue()


def test_a_line_for_each_mode_and_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(io.StringIO(), monkeypatch).splitlines() == [
        "[1/2] training, bfloat16, compiled, batch 64: attention 1,234, patch_ff out of memory images/s; "
        "the control drifted by -5.0% (1:00 left)",
        "[2/2] training, bfloat16, compiled, batch 16: attention 99 images/s",
    ]


def test_a_terminal_shows_what_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown(Terminal(), monkeypatch)
    assert "[2/2] training, bfloat16, compiled, batch 16: attention 99 images/s" in text


def test_what_was_there_already_gives_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with Watch(stream) as watch:
        watch(Progress(1, 1, MODE, 64, finished=True))
    assert stream.getvalue() == ""


def test_an_unknown_drift_is_said() -> None:
    stream = io.StringIO()
    with Watch(stream) as watch:
        watch(UNKNOWN)
    assert stream.getvalue().endswith("attention 99 images/s; whether the control drifted is unknown\n")
