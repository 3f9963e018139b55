"""A launch in this process: written down like any other, taking up what the dead left, waiting for the living."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.dispatch import launch, worker
from ablate.dispatch.cancel import cancel
from ablate.dispatch.cleanup import find
from ablate.dispatch.data import fingerprint
from ablate.dispatch.inline import Inline
from ablate.dispatch.lease import Lease, Owner
from ablate.dispatch.ledger import Launches, Ledger
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from tests.tiny import TINY, record_of

RUNS = [TINY.replace(seed=seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "POLL_S", 0.0)
    monkeypatch.setattr("ablate.dispatch.retries.BACKOFF_S", 0.0)


def pretend(monkeypatch: pytest.MonkeyPatch, body: Callable[[Run], None] = lambda _: None) -> list[Run]:
    """Make training instant; the list fills with what was trained."""
    asked: list[Run] = []

    def execute(run: Run, *_: Any) -> Record:
        asked.append(run)
        body(run)
        return record_of(run, fingerprint("digits_shifted", {}) or "")

    monkeypatch.setattr(worker, "execute", execute)
    return asked


def states(root: Root) -> list[str]:
    return [status.state for status in StatusMonitor(root, RUNS).poll()]


def inline(
    root: Root, show: Callable[[Sequence[RunStatus]], None] = lambda _: None, policy: RetryPolicy | None = None
) -> list[str]:
    monitor = StatusMonitor(root, RUNS)
    missing = launch.prepare(root, monitor, Resources())
    ledger = Ledger(root, "inline", [run.key for run in missing])
    pool = Inline(root, ledger.launch.name)
    return [status.state for status in launch.launch(root, monitor, pool, ledger, show, policy)]


def test_others_see_what_runs_and_what_is_queued(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    pretend(monkeypatch, lambda _: seen.append(states(root)))
    assert inline(root) == ["done"] * 3
    assert seen == [["running", "queued", "queued"], ["done", "running", "queued"], ["done", "done", "running"]]
    launches = Launches(root)
    launches.refresh()
    (one,) = launches.all()
    assert (one.place, one.owner, one.supervised) == ("inline", None, False)


def test_nothing_that_is_queued_is_cleaned_away(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no study asks for it."""
    found: list[Path] = []
    pretend(monkeypatch, lambda _: found.extend(one.path for one in find(root, [])))
    assert inline(root) == ["done"] * 3
    assert found == []


@pytest.mark.parametrize(
    "name", ["inline-17", "20260101-000000-000000-inline-17-0", "20260101-000000-000000-local-17-1"]
)
def test_what_the_dead_left_is_taken_up(root: Root, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    trained = pretend(monkeypatch)
    folder = root.run_folder(RUNS[1].key)
    folder.mkdir()
    (folder / "lease.1").write_bytes(orjson.dumps(replace(Owner.current(name), started="1").__dict__))
    assert states(root)[1] == "lost"
    assert inline(root) == ["done"] * 3
    assert trained == RUNS


def test_it_waits_for_who_lives_and_takes_over_when_they_have_gone(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = pretend(monkeypatch)
    worker.request(root, RUNS[0], Resources())
    other = Lease.acquire(root.run_folder(RUNS[0].key), "another-0")
    assert other is not None

    def show(statuses: Sequence[RunStatus]) -> None:
        if [status.state for status in statuses] == ["running", "done", "done"]:
            other.release()

    assert inline(root, show) == ["done"] * 3
    assert trained == [RUNS[1], RUNS[2], RUNS[0]]


def test_a_run_called_off_is_left_and_the_rest_trained(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ablate cancel RUN` sends this process a signal; training ends by it."""

    def body(run: Run) -> None:
        if run == RUNS[0]:
            (root.run_folder(run.key) / "run.json").unlink()
            raise KeyboardInterrupt

    pretend(monkeypatch, body)
    assert inline(root) == ["waiting", "done", "done"]


def test_interrupted_it_ends_with_nothing_held(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(run: Run) -> None:
        if run == RUNS[1]:
            raise KeyboardInterrupt

    pretend(monkeypatch, body)
    with pytest.raises(KeyboardInterrupt):
        inline(root)
    assert states(root) == ["done", "waiting", "waiting"]
    assert cancel(root, StatusMonitor(root, RUNS)) == {"runs": 0, "jobs": 0, "workers": 0}
    pretend(monkeypatch)
    assert inline(root) == ["done"] * 3


def test_retries_and_fail_fast_hold_here_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Run] = []

    def body(run: Run) -> None:
        tried.append(run)
        if run == RUNS[0]:
            raise RuntimeError("no luck")

    pretend(monkeypatch, body)
    assert inline(root, policy=RetryPolicy(max_retries=1, fail_fast=True)) == ["failed", "waiting", "waiting"]
    assert tried == [RUNS[0], RUNS[0]]
    assert records.index(root.results) == {}
