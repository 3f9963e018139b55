"""Workers killed at random times: every run ends with one record, that of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ablate.dispatch import launch, lease, worker
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.local_pool import LocalPool
from ablate.dispatch.notes import failure_of
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.slots import Local
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests.tiny import TINY

pytestmark = pytest.mark.slow

RUNS = [TINY.replace(seed=seed, epochs=3) for seed in range(20)]
KILLS = 4


def numbers(root: Root) -> dict[str, tuple[object, object]]:
    return {record.key: (record.metrics, record.history) for record in records.read_all(root.results)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, object]]:
    root = Root(tmp_path_factory.mktemp("undisturbed"))
    for run in RUNS:
        worker.request(root, run, Resources(device="cpu"))
    worker.work(str(root.path), [run.key for run in RUNS], "alone")
    return numbers(root)


class Killer:
    """Kills a worker that holds a run whenever so many runs are done; checks when the launcher shows its runs.

    Args:
        seed: decides when, and whom.
    """

    def __init__(self, root: Root, seed: int) -> None:
        self.root, self.random = root, random.Random(seed)
        self.when = sorted(self.random.sample(range(len(RUNS) - 10), KILLS))  # ten runs are left to find a victim
        self.killed: list[str] = []

    def __call__(self, statuses: Sequence[RunStatus]) -> None:
        done = sum(status.state == "done" for status in statuses)
        victims = [status.run.key for status in statuses if status.state == "running"]
        if len(self.killed) < KILLS and done >= self.when[len(self.killed)] and victims:
            key = self.random.choice(victims)
            held = lease.current(self.root.run_folder(key))
            if held and held.owner and held.alive:
                os.kill(held.owner.pid, signal.SIGKILL)
                self.killed.append(key)


def pool(root: Root, runs: Sequence[Run], resources: Resources, size: int) -> tuple[StatusMonitor, LocalPool, Ledger]:
    monitor = StatusMonitor(root, runs)
    launch.prepare(root, monitor, resources)
    ledger = Ledger(root, "local", [run.key for run in runs])
    return monitor, LocalPool(Local(root, resources, ledger.launch.logs), ledger.launch.name, size), ledger


def processes_of(root: Root) -> Iterator[str]:
    """Yield the command lines of live processes that work under a root."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(root.path) in words and str(os.getpid()) != path.parent.name:
            yield words


@pytest.mark.parametrize("seed", [2105])
def test_killed_at_random_every_run_ends_with_its_record(
    tmp_path: Path, undisturbed: dict[str, tuple[object, object]], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(launch, "POLL_S", 0.02)
    monkeypatch.setattr("ablate.dispatch.retries.BACKOFF_S", 0.0)
    root = Root(tmp_path)
    killer = Killer(root, seed)
    monitor, fleet, ledger = pool(root, RUNS, Resources(device="cpu", checkpoint_minutes=0), 2)
    statuses = launch.launch(root, monitor, fleet, ledger, killer, RetryPolicy(max_retries=KILLS))
    assert [status.state for status in statuses] == ["done"] * len(RUNS)
    assert len(killer.killed) == KILLS
    assert numbers(root) == undisturbed
    assert not any(held.alive for held in map(lease.current, root.runs.iterdir()) if held)
    assert not any(failure_of(folder) for folder in root.runs.iterdir())
    assert not list(processes_of(root))


def test_a_process_group_dies_with_its_member_and_the_run_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes over gloo train one run; the second one is killed."""
    monkeypatch.setattr(launch, "POLL_S", 0.02)
    monkeypatch.setattr("ablate.dispatch.retries.BACKOFF_S", 0.0)
    root, run = Root(tmp_path), TINY.replace(epochs=40)
    killed: list[int] = []

    def kill_the_second(statuses: Sequence[RunStatus]) -> None:
        if not killed and list((root.run_folder(run.key) / "checkpoints").glob("*.pt")):
            held = lease.current(root.run_folder(run.key))
            assert held
            assert held.owner
            killed.extend(siblings(held.owner.pid))
            assert len(killed) == 1
            os.kill(killed[0], signal.SIGKILL)

    monitor, fleet, ledger = pool(root, [run], Resources(device="cpu", gpus_per_run=2, checkpoint_minutes=0), 1)
    (status,) = launch.launch(root, monitor, fleet, ledger, kill_the_second, RetryPolicy(max_retries=1))
    assert status.state == "done", status.error
    assert killed
    (record,) = records.read_all(root.results)
    assert record.metrics["n"] == 360
    assert len(record.history) == run.epochs
    assert "resuming from" in (root.run_folder(run.key) / "log.txt").read_text()
    assert not list(processes_of(root))


def siblings(pid: int) -> list[int]:
    """Return the live siblings of a process."""
    places = [path.read_text().rpartition(")") for path in Path("/proc").glob("[0-9]*/stat")]
    parents = {int(head.split(" ", 1)[0]): int(rest.split()[1]) for head, _, rest in places if rest.split()[0] != "Z"}
    return [one for one, parent in parents.items() if parent == parents[pid] and one != pid]
