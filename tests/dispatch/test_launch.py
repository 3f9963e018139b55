"""The launcher with a fake backend: which workers start, what is noted, what is retried."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ablate.dispatch import launch, lease, worker
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.local_pool import LocalPool
from ablate.dispatch.notes import note_failure
from ablate.dispatch.retries import BACKOFF_S, LONGEST_S, RetryPolicy
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from ablate.train.errors import DivergedError
from tests import synthetic

TINY = {"dim": 8, "depth": 1, "heads": 1, "image_size": 12, "patch_size": 4, "epochs": 1, "pool": "avg"}
RUNS = [Run(**TINY, mixer=mixer, seed=seed) for seed in range(2) for mixer in ("attention", "none")]


class FakeWorker:
    """A worker that has ended already."""

    def __init__(self, name: str, slot: int, outcome: bool) -> None:
        self.name, self.slot, self.outcome = name, slot, outcome

    def alive(self) -> bool:
        return False

    def returned(self) -> bool:
        return self.outcome

    def stop(self) -> None:
        self.outcome = False

    def kill(self) -> None:
        raise AssertionError("it had ended")

    def cause(self) -> str:
        return "the worker process died"

    def last_lines(self) -> str:
        return "No module named nonsense"


class FakeBackend:
    """Calls `act(name, keys)` when a worker is started; it returns whether the worker finished its list."""

    def __init__(self, act: Callable[[str, Sequence[str]], bool]) -> None:
        self.act = act
        self.lists: list[list[str]] = []

    def start(self, name: str, slot: int, keys: Sequence[str]) -> FakeWorker:
        self.lists.append(list(keys))
        return FakeWorker(name, slot, self.act(name, keys))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without waiting, and replace training."""
    monkeypatch.setattr(launch, "POLL_S", 0.0)
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))


@pytest.fixture
def place(tmp_path: Path) -> Root:
    return Root(tmp_path)


def start(
    root: Root,
    backend: FakeBackend,
    size: int = 1,
    runs: Sequence[Run] = RUNS,
    *,
    retry_failed: bool = False,
    policy: RetryPolicy | None = None,
) -> list[str]:
    monitor = StatusMonitor(root, runs)
    missing = launch.prepare(root, monitor, Resources(), retry_failed=retry_failed)
    ledger = Ledger(root, "local", [run.key for run in missing])
    pool = LocalPool(backend, ledger.launch.name, size)
    return [status.state for status in launch.launch(root, monitor, pool, ledger, lambda _: None, policy)]


@pytest.mark.parametrize(("size", "others", "waits"), [(1, 1, True), (2, 1, False), (2, 2, True), (1, 0, False)])
def test_workers_of_other_launches_fill_slots(
    size: int, others: int, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Some may have lost their launcher, and still use the GPU."""
    backend = FakeBackend(lambda _, __: True)
    pool = LocalPool(backend, "mine", size, lambda: [f"another-{number}" for number in range(others)] + ["mine-0"])
    waiting = [RunStatus(run, "waiting") for run in RUNS]
    pool.fill(waiting)
    pool.fill(waiting)
    assert len(backend.lists) == size - others
    assert (not backend.lists) is waits
    told = [message for message in caplog.messages if "waiting for workers of other launches" in message]
    assert len(told) == (others > 0)


@pytest.mark.usefixtures("fast")
def test_one_worker_trains_all(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: bool(worker.work(str(place.path), keys, name)))
    assert start(place, backend) == ["done"] * 4
    assert len(backend.lists) == 1
    assert sorted(records.index(place.results)) == sorted(run.key for run in RUNS)


@pytest.mark.usefixtures("fast")
def test_a_run_with_a_record_is_not_trained_again(place: Root) -> None:
    records.write(place.results, synthetic.record(RUNS[0]))
    monitor = StatusMonitor(place, RUNS)
    assert launch.prepare(place, monitor, Resources()) == RUNS[1:]


@pytest.mark.usefixtures("fast")
def test_a_record_of_other_data_is_set_aside_and_the_run_trained_again(place: Root) -> None:
    old = synthetic.record(RUNS[0], dataset={"fingerprint": "0123456789abcdef"})
    path = records.write(place.results, old)
    before = path.read_bytes()
    monitor = StatusMonitor(place, RUNS[:1])
    assert [status.state for status in monitor.poll()] == ["waiting"]
    assert launch.prepare(place, monitor, Resources()) == RUNS[:1]
    assert path.with_suffix(".01234567.superseded").read_bytes() == before


@pytest.mark.usefixtures("fast")
def test_a_worker_that_dies_costs_its_run_only(place: Root) -> None:
    """The second run kills its worker: it has failed, and another worker trains the rest."""

    def act(name: str, keys: Sequence[str]) -> bool:
        for key in keys:
            if key == RUNS[1].key:
                die_holding(place, key, name)
                return False
            worker.work(str(place.path), [key], name)
        return True

    backend = FakeBackend(act)
    assert start(place, backend) == ["done", "failed", "done", "done"]
    assert len(backend.lists) == 2
    note = worker.failure_of(place.run_folder(RUNS[1].key))
    assert note is not None
    assert "died" in note["error"]
    again = FakeBackend(lambda name, keys: bool(worker.work(str(place.path), keys, name)))
    assert start(place, again) == ["done"] * 4, "a death is no failure of the run: the same command takes it up again"
    assert again.lists == [[RUNS[1].key]]


def die_holding(root: Root, key: str, name: str) -> None:
    """Write the lease of a process that has ended, as a killed worker leaves it."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder = root.run_folder(key)
    owner = replace(lease.Owner.current(name), pid=process.pid, started="1")
    before = lease.current(folder)
    (folder / f"lease.{before.generation + 1 if before else 1}").write_bytes(orjson.dumps(owner.__dict__))


@pytest.mark.usefixtures("fast")
def test_a_death_seen_in_two_polls_is_one_death(place: Root) -> None:
    """The process has ended at the first poll, its controller later: no idle death, and the launch continues."""

    class Lingering(FakeWorker):
        polls = 0

        def alive(self) -> bool:
            self.polls += 1
            return not self.outcome and self.polls < 5

    class Backend(FakeBackend):
        def start(self, name: str, slot: int, keys: Sequence[str]) -> FakeWorker:
            self.lists.append(list(keys))
            return Lingering(name, slot, self.act(name, keys))

    def act(name: str, keys: Sequence[str]) -> bool:
        if keys[0] == RUNS[0].key:
            worker.work(str(place.path), keys[1:2], name)
            die_holding(place, keys[0], name)
            return False
        worker.work(str(place.path), keys, name)
        return True

    assert start(place, Backend(act)) == ["failed", "done", "done", "done"]


@pytest.mark.usefixtures("fast")
def test_a_heartbeat_that_jumps_kills_no_worker_of_this_machine(place: Root) -> None:
    """After a suspended laptop wakes, heartbeats are old; live workers keep their runs."""
    folder = place.run_folder(RUNS[0].key)
    held = lease.Lease.acquire(folder, "awake")
    assert held is not None
    os.utime(held.path, (1, 1))
    assert StatusMonitor(place, RUNS[:1]).poll()[0].state == "running"
    assert lease.Lease.acquire(folder, "thief") is None
    held.release()


@pytest.mark.usefixtures("fast")
def test_single_early_deaths_do_not_end_the_launch(place: Root) -> None:
    """Every other worker dies before it takes a run; the others train one run each."""
    starts: list[str] = []

    def act(name: str, keys: Sequence[str]) -> bool:
        starts.append(name)
        if len(starts) % 2:
            return False
        return bool(worker.work(str(place.path), keys[:1], name))

    assert start(place, FakeBackend(act), size=1) == ["done"] * 4
    assert len(starts) == 8


@pytest.mark.usefixtures("fast")
def test_workers_that_die_at_once_end_the_launch(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: False)
    with pytest.raises(launch.LaunchError, match="No module named nonsense"):
        start(place, backend, size=2)
    assert len(backend.lists) <= 4


@pytest.mark.usefixtures("fast")
def test_failures_stay_until_retry(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    def work(name: str, keys: Sequence[str]) -> bool:
        worker.work(str(place.path), keys, name)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(worker, "execute", fail)
        assert start(place, FakeBackend(work)) == ["failed"] * 4
    idle = FakeBackend(work)
    assert start(place, idle) == ["failed"] * 4
    assert idle.lists == []
    assert start(place, FakeBackend(work), retry_failed=True) == ["done"] * 4


@pytest.mark.usefixtures("fast")
def test_no_more_workers_than_slots_or_runs(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: bool(worker.work(str(place.path), keys, name)))
    start(place, backend, size=8, runs=RUNS[:2])
    assert len(backend.lists) <= 2


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.dispatch.retries.BACKOFF_S", 0.0)


def worker_of(place: Root) -> Callable[[str, Sequence[str]], bool]:
    def work(name: str, keys: Sequence[str]) -> bool:
        worker.work(str(place.path), keys, name)
        return True

    return work


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> list[str]:
    """Make the first run fail so many times; the list collects the keys that were tried."""
    tried: list[str] = []

    def execute(run: Run, *_: object) -> records.Record:
        tried.append(run.key)
        if run == RUNS[0] and tried.count(run.key) <= times:
            raise error
        return synthetic.record(run)

    monkeypatch.setattr(worker, "execute", execute)
    return tried


@pytest.mark.usefixtures("fast", "no_pause")
@pytest.mark.parametrize(
    ("retries", "error", "tries", "state"),
    [
        (0, RuntimeError("no luck"), 1, "failed"),
        (1, RuntimeError("no luck"), 2, "failed"),
        (2, RuntimeError("no luck"), 3, "done"),
        (5, SpecError("a wrong request"), 1, "failed"),
        (5, DivergedError("the loss is nan"), 1, "failed"),
    ],
)
def test_a_run_is_retried_unless_the_error_is_permanent(
    place: Root, monkeypatch: pytest.MonkeyPatch, retries: int, error: Exception, tries: int, state: str
) -> None:
    tried = failing(monkeypatch, error, times=2)
    assert start(place, FakeBackend(worker_of(place)), policy=RetryPolicy(retries)) == [state, "done", "done", "done"]
    assert tried.count(RUNS[0].key) == tries


@pytest.mark.usefixtures("fast", "no_pause")
def test_a_run_whose_worker_died_is_retried(place: Root) -> None:
    deaths = [RUNS[1].key, RUNS[1].key]

    def act(name: str, keys: Sequence[str]) -> bool:
        for key in keys:
            if deaths and key == deaths[0]:
                die_holding(place, deaths.pop(), name)
                return False
            worker.work(str(place.path), [key], name)
        return True

    backend = FakeBackend(act)
    assert start(place, backend, policy=RetryPolicy(2)) == ["done"] * 4
    assert len(backend.lists) == 3
    assert not any(held.alive for held in map(lease.current, place.runs.iterdir()) if held)


@pytest.mark.usefixtures("fast", "no_pause")
def test_a_worker_that_dies_after_its_failure_note_costs_one_attempt(place: Root) -> None:
    """A process group is killed after one of its processes has noted the failure and before it releases the lease."""
    left = [RUNS[1].key]

    def act(name: str, keys: Sequence[str]) -> bool:
        for key in keys:
            if key in left:
                note_failure(place.run_folder(key), "a peer is lost", name)
                die_holding(place, left.pop(), name)
                return False
            worker.work(str(place.path), [key], name)
        return True

    assert start(place, FakeBackend(act), policy=RetryPolicy(1)) == ["done"] * 4


def test_the_pause_after_a_lost_worker_grows_and_after_an_error_there_is_none(place: Root) -> None:
    policy = RetryPolicy(3)
    for attempts, pause in ((1, 2 * BACKOFF_S), (2, 4 * BACKOFF_S), (10, LONGEST_S)):
        policy.lost.add("k")
        policy.attempts["k"] = attempts
        assert policy._pause("k") == pause
        assert policy._pause("k") == 0


@pytest.mark.usefixtures("fast")
def test_a_failure_before_the_launch_is_not_retried(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = failing(monkeypatch, RuntimeError("no luck"), times=9)
    start(place, FakeBackend(worker_of(place)))
    before = len(tried)
    assert start(place, FakeBackend(worker_of(place)), policy=RetryPolicy(3, fail_fast=True))[0] == "failed"
    assert len(tried) == before


@pytest.mark.usefixtures("fast")
def test_fail_fast_ends_the_launch_and_leaves_the_rest(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = failing(monkeypatch, RuntimeError("no luck"), times=9)
    one_by_one = FakeBackend(lambda name, keys: bool(worker.work(str(place.path), keys[:1], name)))
    assert start(place, one_by_one, policy=RetryPolicy(fail_fast=True)) == ["failed", "waiting", "waiting", "waiting"]
    assert tried == [RUNS[0].key]


@pytest.mark.usefixtures("fast")
def test_a_cancelled_run_is_skipped(place: Root) -> None:
    """Without its request, no worker starts it, and the launch does not wait for it."""

    def act(name: str, keys: Sequence[str]) -> bool:
        (place.run_folder(RUNS[2].key) / "run.json").unlink(missing_ok=True)
        return worker_of(place)(name, keys)

    assert start(place, FakeBackend(act)) == ["done", "done", "waiting", "done"]
