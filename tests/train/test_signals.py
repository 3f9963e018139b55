"""When something is due: by time, by signals, and the same on all processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from ablate.train import signals
from ablate.train.distributed import World
from ablate.train.signals import NOTHING, Due, Watch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_by_the_clock(clock: list[float]) -> None:
    watching = Watch(minutes=1)
    assert watching.due(1) == NOTHING
    clock[0] += 1
    assert watching.due(2) == Due(True, False, False)
    assert watching.due(3) == NOTHING
    clock[0] += 59
    assert watching.due(4) == Due(True, True, False)
    assert watching.due(5) == NOTHING


def test_no_minutes_are_every_step(clock: list[float]) -> None:
    watching = Watch(minutes=0)
    assert [watching.due(step).save for step in range(3)] == [True] * 3


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_signals_are_heard_once_and_given_back() -> None:
    before = {number: signal.getsignal(number) for number in (*signals.STOPS, signal.SIGUSR1)}
    with Watch(minutes=10) as watching:
        assert watching.due(1) == NOTHING
        send(signal.SIGUSR1)
        assert watching.due(2) == Due(False, True, False)
        assert watching.due(3) == NOTHING
        send(signal.SIGTERM)
        assert watching.due(4) == Due(False, True, True)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_signal_before_training_is_acted_on_by_it() -> None:
    """During an import, say: an exception there would leave half a module."""
    with signals.noted():
        send(signal.SIGTERM)
        with Watch(minutes=10) as watching:
            assert watching.stop_requested
            assert watching.due(1).stop
        with pytest.raises(KeyboardInterrupt):
            signals.act()
    signals.act()  # it was acted on


def test_a_stop_that_nothing_acts_on_becomes_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "GRACE_S", 0.01)
    with signals.noted():
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            threading.Event().wait(60)


def test_an_ignored_hangup_stays_ignored() -> None:
    """Under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Watch(minutes=10) as watching:
            send(signal.SIGHUP)
            assert not watching.stop_requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_listens_to_no_signal() -> None:
    found: list[Any] = []

    def run() -> None:
        with Watch(minutes=10) as watching:
            found.append((watching.due(1), signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [(NOTHING, before)]


class Pretended(World):
    """One of two processes, whose mate says what is given."""

    def maximum(self, values: Sequence[int]) -> list[int]:
        return [max(both) for both in zip(values, MATE, strict=True)]


MATE = [0, 0, 0]


@pytest.mark.parametrize("rank", [0, 1])
def test_several_agree_at_every_tenth_step(rank: int, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watch(1, Pretended(rank, 2))
    clock[0] += 120
    assert [watching.due(step) for step in range(1, 10)] == [NOTHING] * 9
    assert watching.due(10) == (Due(True, True, False) if rank == 0 else NOTHING), "one clock decides"
    monkeypatch.setattr(f"{__name__}.MATE", [0, 1, 1])
    assert watching.due(20) == Due(False, True, True), "a signal to one is a signal to all"
