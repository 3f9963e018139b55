"""Real worker processes: slots, threads and GPUs; killed, interrupted, and two launchers at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from ablate import load
from ablate.dispatch import lease, slots, worker
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.root import Root
from ablate.train import devices
from tests.dispatch.test_chaos import processes_of
from tests.processes import Process, end, start_ablate, wait_for


def test_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda _: [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert slots.slots(Resources(threads=2)) == 4
    assert slots.slots(Resources(threads=16)) == 1
    assert slots.slots(Resources(), jobs=3) == 3
    monkeypatch.setattr(devices, "gpus", lambda _: ["0", "1"])
    assert slots.slots(Resources()) == 2
    assert slots.slots(Resources(gpus_per_run=2)) == 1
    assert slots.slots(Resources(device="cpu", gpus_per_run=2)) == 4
    with pytest.raises(SpecError, match="--jobs must be 1 or more, got 0"):
        slots.slots(Resources(), jobs=0)
    with pytest.raises(SpecError, match="gpus_per_run must be at most 2"):
        slots.slots(Resources(gpus_per_run=3))
    with pytest.raises(SpecError, match="nodes must be 1 on this machine, got 2"):
        slots.slots(Resources(nodes=2))


def test_a_device_with_a_number_has_one_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts among all GPUs, so none of them is hidden from the worker."""
    monkeypatch.setattr(devices, "check", lambda _: None)
    monkeypatch.setattr(devices, "gpus", lambda _: ["4", "5"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert slots.slots(Resources(device="cuda:1")) == slots.slots(Resources(device="mps")) == 1
    backend = slots.Local(Root(tmp_path), Resources(device="cuda:1"), tmp_path / "logs")
    assert backend._environment(0)["CUDA_VISIBLE_DEVICES"] == "4,5"


def test_a_device_that_is_not_there_is_refused_before_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SpecError, match="device mps cannot be used on this machine: torch finds no MPS device"):
        slots.slots(Resources(device="mps"))


@pytest.mark.parametrize(
    ("visible", "each", "expected"),
    [("5,7", 1, ["5", "7", "5"]), ("0,1,2,3", 2, ["0,1", "2,3", "0,1"]), ("", 1, ["", "", ""])],
)
def test_each_slot_has_gpus_and_threads_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, each: int, expected: list[str]
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda _: [name for name in visible.split(",") if name])
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("SLURM_STEP_ID", "7")
    backend = slots.Local(Root(tmp_path), Resources(gpus_per_run=each, threads=3), tmp_path / "logs")
    found = [backend._environment(slot) for slot in range(3)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == expected
    assert {one["OMP_NUM_THREADS"] for one in found} == {"3"}
    assert not any("SLURM_STEP_ID" in one for one in found), "an allocation around the launcher is not the workers'"


def test_the_end_of_a_worker_has_a_cause(tmp_path: Path) -> None:
    root = Root(tmp_path)
    backend = slots.Local(root, Resources(), tmp_path / "logs")
    worker, killed = backend.start("w-0", 0, ["nothing"]), backend.start("w-1", 1, [])
    os.kill(killed._process.pid, signal.SIGKILL)
    wait_for(lambda: not worker.alive() and not killed.alive(), "the workers' ends")
    assert worker.returned()
    assert not killed.returned()
    assert "SIGKILL" in killed.cause()


STUDY = '''
"""A study of a few seconds, for the tests of the launcher."""
from ablate import Scale, Study

study = Study(
    question="Does it run?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    scales={"tiny": Scale({"dim": 16, "depth": 2, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 6,
                           "pool": "avg", "holdout": 0.2})},
    seeds=2,
)
'''


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.py"
    path.write_text(STUDY)
    return path


def ablate(study: Path, root: Path, log: Path, *, seeds: int = 2, deaf: bool = False) -> Process:
    words = ["run", str(study), "--root", str(root), "--jobs", "2", "--seeds", str(seeds)]
    return start_ablate(words, log, deaf=deaf)


def results_of(root: Path) -> dict[str, tuple[object, object]]:
    """Return the metrics and history of each record, which are equal for equal runs."""
    return {record.key: (record.metrics, record.history) for record in records.read_all(root / "results")}


@pytest.fixture(scope="module")
def undisturbed(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, object]]:
    """Return the results of the runs, trained one after the other in this process."""
    root = Root(tmp_path_factory.mktemp("undisturbed"))
    runs = load(study_file).runs()
    for run in runs:
        worker.request(root, run, Resources())
    worker.work(str(root.path), [run.key for run in runs], "alone")
    found = results_of(root.path)
    assert len(found) == 6
    return found


@pytest.mark.slow
def test_a_killed_launcher_s_workers_are_taken_into_account(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]]
) -> None:
    with unfinished(study_file, tmp_path):
        first = ablate(study_file, tmp_path, tmp_path / "out.txt")
        wait_for(lambda: list((tmp_path / "results").rglob("*.json")), "a record")
        os.kill(first.pid, signal.SIGKILL)
        end(first)
    assert end(ablate(study_file, tmp_path, tmp_path / "out.txt")) == [0], (tmp_path / "out.txt").read_text()
    assert results_of(tmp_path) == undisturbed


@pytest.mark.slow
def test_two_launchers_at_once_train_each_run_once(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]]
) -> None:
    both = [ablate(study_file, tmp_path, tmp_path / f"{name}.txt") for name in "ab"]
    assert end(*both) == [0, 0], (tmp_path / "a.txt").read_text()
    assert results_of(tmp_path) == undisturbed
    for key in undisturbed:
        log = (tmp_path / "runs" / key / "log.txt").read_text()
        assert log.count(f"run {key}, ") == 1, log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "deaf"), [(signal.SIGINT, False), (signal.SIGTERM, True)], ids=["Ctrl-C", "kill %1"]
)
def test_interrupt_stops_the_workers_and_keeps_the_records(
    study_file: Path, tmp_path: Path, number: signal.Signals, deaf: bool
) -> None:
    with unfinished(study_file, tmp_path):
        process = ablate(study_file, tmp_path, tmp_path / "out.txt", deaf=deaf)
        wait_for(lambda: list((tmp_path / "results").rglob("*.json")), "a record")
        os.kill(process.pid, number)
        assert end(process) == [130], (tmp_path / "out.txt").read_text()
    assert "Traceback" not in (tmp_path / "out.txt").read_text()
    assert 1 <= len(results_of(tmp_path)) < 6
    leases = [lease.current(folder) for folder in (tmp_path / "runs").iterdir()]
    assert not any(held.alive for held in leases if held is not None)
    assert not list(processes_of(Root(tmp_path)))


@pytest.mark.slow
def test_a_killed_worker_costs_its_run_only(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]]
) -> None:
    process = ablate(study_file, tmp_path, tmp_path / "out.txt", seeds=1)
    wait_for(lambda: holders(tmp_path), "a run in training")
    os.kill(holders(tmp_path)[0], signal.SIGKILL)
    assert end(process) == [1]
    found = results_of(tmp_path)
    assert len(found) == 2
    assert all(undisturbed[key] == outcome for key, outcome in found.items())
    output = (tmp_path / "out.txt").read_text()
    assert "the worker process was killed by SIGKILL" in output
    assert "1 of 3 runs failed; retry them: ablate run " in output
    assert end(ablate(study_file, tmp_path, tmp_path / "out.txt", seeds=1)) == [0], "nor for good"
    assert results_of(tmp_path).items() <= undisturbed.items()


def holders(root: Path) -> list[int]:
    """Return the other processes that hold a run."""
    held = [lease.current(folder) for folder in (root / "runs").glob("*")]
    pids = [one.owner.pid for one in held if one is not None and one.alive and one.owner is not None]
    return [pid for pid in pids if pid != os.getpid()]


@contextmanager
def unfinished(study: Path, root: Path) -> Iterator[None]:
    """Hold the lease of the last run of a study, so that the study cannot end before the test has acted."""
    held = lease.Lease.acquire(Root(root).run_folder(load(study).runs()[-1].key), "the test")
    assert held
    try:
        yield
    finally:
        held.release()
