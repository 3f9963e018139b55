"""A launch in this process: it has a ledger, resumes lost runs, and waits for runs of live workers."""

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
    """Replace training; the list collects the runs."""
    trained_runs: list[Run] = []

    def execute(run: Run, *_: Any) -> Record:
        trained_runs.append(run)
        body(run)
        return record_of(run, fingerprint("digits_shifted", {}) or "")

    monkeypatch.setattr(worker, "execute", execute)
    return trained_runs


def states(root: Root) -> list[str]:
    return [status.state for status in StatusMonitor(root, RUNS).poll()]


def inline(
    root: Root, show: Callable[[Sequence[RunStatus]], None] = lambda _: None, policy: RetryPolicy | None = None
) -> list[str]:
    monitor = StatusMonitor(root, RUNS)
    missing = launch.prepare(root, monitor, Resources())
    ledger = Ledger(root, "inline", [run.key for run in missing])
    pool = Inline(root, ledger.launch.name, size=9)
    return [status.state for status in launch.launch(root, monitor, pool, ledger, show, policy)]


def test_it_waits_for_workers_of_other_launches(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    working = [{"another-0"}, set()]
    monkeypatch.setattr("ablate.dispatch.local_pool.READ_S", 0.0)
    monkeypatch.setattr("ablate.dispatch.lease.working_here", lambda _: working.pop(0))
    pool = Inline(root, "mine", size=1)
    assert not pool.fill([])
    assert len(working) == 1
    assert not pool.fill([])
    assert not working


def test_others_see_running_and_queued_runs(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    pretend(monkeypatch, lambda _: seen.append(states(root)))
    assert inline(root) == ["done"] * 3
    assert seen == [["running", "queued", "queued"], ["done", "running", "queued"], ["done", "done", "running"]]
    launches = Launches(root)
    launches.refresh()
    (one,) = launches.all()
    assert (one.place, one.owner, one.supervised) == ("inline", None, False)


def test_queued_runs_are_not_cleaned_up(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no study contains it."""
    found: list[Path] = []
    pretend(monkeypatch, lambda _: found.extend(one.path for one in find(root, [])))
    assert inline(root) == ["done"] * 3
    assert found == []


@pytest.mark.parametrize(
    "name", ["inline-17", "20260101-000000-000000-inline-17-0", "20260101-000000-000000-local-17-1"]
)
def test_runs_of_dead_workers_are_resumed(root: Root, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    trained = pretend(monkeypatch)
    folder = root.run_folder(RUNS[1].key)
    folder.mkdir()
    (folder / "lease.1").write_bytes(orjson.dumps(replace(Owner.current(name), started="1").__dict__))
    assert states(root)[1] == "lost"
    assert inline(root) == ["done"] * 3
    assert trained == RUNS


def test_it_waits_for_live_workers_and_takes_over_when_they_end(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = pretend(monkeypatch)
    worker.request(root, RUNS[0], Resources())
    other = Lease.acquire(root.run_folder(RUNS[0].key), "another-0")
    assert other is not None

    def show(statuses: Sequence[RunStatus]) -> None:
        if [status.state for status in statuses] == ["running", "done", "done"]:
            other.release()

    assert inline(root, show) == ["done"] * 3
    assert trained == [RUNS[1], RUNS[2], RUNS[0]]


def test_a_cancelled_run_is_skipped_and_the_rest_trained(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ablate cancel RUN` sends a signal to this process, which ends the training."""

    def body(run: Run) -> None:
        if run == RUNS[0]:
            (root.run_folder(run.key) / "run.json").unlink()
            raise KeyboardInterrupt

    pretend(monkeypatch, body)
    assert inline(root) == ["waiting", "done", "done"]


def test_an_interrupted_launch_holds_no_lease(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_retries_and_fail_fast_apply(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Run] = []

    def body(run: Run) -> None:
        tried.append(run)
        if run == RUNS[0]:
            raise RuntimeError("no luck")

    pretend(monkeypatch, body)
    assert inline(root, policy=RetryPolicy(max_retries=1, fail_fast=True)) == ["failed", "waiting", "waiting"]
    assert tried == [RUNS[0], RUNS[0]]
    assert records.index(root.results) == {}
