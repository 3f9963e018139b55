"""The launcher against a fake backend in this process, and against real worker processes that get killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from ablate import job, launch, lease, records
from ablate.launch import local
from ablate.paths import Root
from ablate.registry import SpecError
from ablate.resources import Resources
from ablate.spec import Run
from ablate.status import Survey
from tests import synthetic

TINY = {"dim": 8, "depth": 1, "heads": 1, "image_size": 12, "patch_size": 4, "epochs": 1, "pool": "avg"}
RUNS = [Run(**TINY, mixer=mixer, seed=seed) for seed in range(2) for mixer in ("attention", "none")]


class FakeWorker:
    """A worker that has already done what `act` did with its list."""

    def __init__(self, name: str, slot: int, outcome: bool) -> None:
        self.name, self.slot, self.outcome = name, slot, outcome

    def alive(self) -> bool:
        return False

    def returned(self) -> bool:
        return self.outcome

    def stop(self) -> None:
        self.outcome = False

    def said(self) -> str:
        return "No module named nonsense"


class FakeBackend:
    """Runs `act(name, keys)` when a worker is started; its value says whether the worker came to its end."""

    def __init__(self, act: Callable[[str, Sequence[str]], bool]) -> None:
        self.act = act
        self.lists: list[list[str]] = []

    def start(self, name: str, slot: int, keys: Sequence[str]) -> FakeWorker:
        self.lists.append(list(keys))
        return FakeWorker(name, slot, self.act(name, keys))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without waiting; training gives a synthetic record at once."""
    monkeypatch.setattr(launch, "POLL_S", 0.0)
    monkeypatch.setattr(job, "execute", lambda run, resources, report: synthetic.record(run))


@pytest.fixture
def place(tmp_path: Path) -> Root:
    return Root(tmp_path)


def start(root: Root, backend: FakeBackend, size: int = 1, runs: Sequence[Run] = RUNS) -> list[str]:
    survey = Survey(root, runs)
    launch.prepare(root, survey, Resources())
    return [status.state for status in launch.launch(root, survey, backend, size, lambda statuses: None)]


@pytest.mark.usefixtures("fast")
def test_one_worker_trains_all(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: bool(job.work(str(place.path), keys, name)))
    assert start(place, backend) == ["done"] * 4
    assert len(backend.lists) == 1
    assert sorted(records.index(place.results)) == sorted(run.key for run in RUNS)


@pytest.mark.usefixtures("fast")
def test_what_has_a_record_is_not_run_again(place: Root) -> None:
    records.write(place.results, synthetic.record(RUNS[0]))
    survey = Survey(place, RUNS)
    assert launch.prepare(place, survey, Resources()) == RUNS[1:]


@pytest.mark.usefixtures("fast")
def test_a_record_of_other_data_is_set_aside_and_the_run_trained_again(place: Root) -> None:
    old = synthetic.record(RUNS[0], dataset={"fingerprint": "0123456789abcdef"})
    path = records.write(place.results, old)
    before = path.read_bytes()
    survey = Survey(place, RUNS[:1])
    assert [status.state for status in survey.look()] == ["waiting"]
    assert launch.prepare(place, survey, Resources()) == RUNS[:1]
    assert path.with_suffix(".01234567.superseded").read_bytes() == before


@pytest.mark.usefixtures("fast")
def test_a_worker_that_dies_costs_its_run_only(place: Root) -> None:
    """The second run kills its worker: it is noted as failed, the rest is done by another worker."""

    def act(name: str, keys: Sequence[str]) -> bool:
        for key in keys:
            if key == RUNS[1].key:
                die_holding(place, key, name)
                return False
            job.work(str(place.path), [key], name)
        return True

    backend = FakeBackend(act)
    assert start(place, backend) == ["done", "failed", "done", "done"]
    assert len(backend.lists) == 2
    note = job.failure_of(place.run_folder(RUNS[1].key))
    assert note is not None
    assert "died" in note["error"]


def die_holding(root: Root, key: str, name: str) -> None:
    """Leave what a killed worker leaves: a lease of a process that is no more."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = root.run_folder(key)
    owner = replace(lease.Owner.me(name), pid=gone.pid, started="1")
    (folder / "lease.1").write_bytes(orjson.dumps(owner.__dict__))


@pytest.mark.usefixtures("fast")
def test_a_death_seen_in_two_looks_is_one_death(place: Root) -> None:
    """The process is gone at the first look, its controller only later: no idle death, and the launch goes on."""

    class Lingering(FakeWorker):
        looks = 0

        def alive(self) -> bool:
            self.looks += 1
            return not self.outcome and self.looks < 5

    class Backend(FakeBackend):
        def start(self, name: str, slot: int, keys: Sequence[str]) -> FakeWorker:
            self.lists.append(list(keys))
            return Lingering(name, slot, self.act(name, keys))

    def act(name: str, keys: Sequence[str]) -> bool:
        if keys[0] == RUNS[0].key:
            job.work(str(place.path), keys[1:2], name)
            die_holding(place, keys[0], name)
            return False
        job.work(str(place.path), keys, name)
        return True

    assert start(place, Backend(act)) == ["failed", "done", "done", "done"]


@pytest.mark.usefixtures("fast")
def test_a_heartbeat_that_jumps_kills_no_worker_of_this_machine(place: Root) -> None:
    """A suspended laptop wakes with old heartbeats: who still lives keeps its run."""
    folder = place.run_folder(RUNS[0].key)
    held = lease.Lease.acquire(folder, "awake")
    assert held is not None
    os.utime(held.path, (1, 1))
    assert Survey(place, RUNS[:1]).look()[0].state == "running"
    assert lease.Lease.acquire(folder, "thief") is None
    held.release()


@pytest.mark.usefixtures("fast")
def test_workers_that_die_at_once_end_the_launch(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: False)
    with pytest.raises(launch.LaunchError, match="No module named nonsense"):
        start(place, backend, size=2)
    assert len(backend.lists) <= 3


@pytest.mark.usefixtures("fast")
def test_failures_stay_until_retry(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: Run, resources: Resources, report: object) -> None:
        raise RuntimeError("no luck")

    def work(name: str, keys: Sequence[str]) -> bool:
        job.work(str(place.path), keys, name)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(job, "execute", fail)
        assert start(place, FakeBackend(work)) == ["failed"] * 4
    idle = FakeBackend(work)
    assert start(place, idle) == ["failed"] * 4
    assert idle.lists == []
    survey = Survey(place, RUNS)
    assert launch.prepare(place, survey, Resources(), retry=True) == RUNS
    launched = launch.launch(place, survey, FakeBackend(work), 1, lambda statuses: None)
    assert [status.state for status in launched] == ["done"] * 4


@pytest.mark.usefixtures("fast")
def test_no_more_workers_than_slots_or_runs(place: Root) -> None:
    backend = FakeBackend(lambda name, keys: bool(job.work(str(place.path), keys, name)))
    start(place, backend, size=8, runs=RUNS[:2])
    assert len(backend.lists) <= 2


def test_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpus", list)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert local.slots(Resources(threads=2)) == 4
    assert local.slots(Resources(threads=16)) == 1
    assert local.slots(Resources(), jobs=3) == 3
    monkeypatch.setattr(local, "gpus", lambda: ["0", "1"])
    assert local.slots(Resources()) == 2
    with pytest.raises(SpecError, match="--jobs is 0; wanted is 1 or more"):
        local.slots(Resources(), jobs=0)


@pytest.mark.parametrize(
    ("visible", "wanted"), [("0,3", ["0", "3"]), ("", []), ("MIG-1f2e, GPU-77aa", ["MIG-1f2e", "GPU-77aa"])]
)
def test_gpus_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch, visible: str, wanted: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local.gpus() == wanted


def test_each_slot_is_told_its_own_gpu(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    backend = local.Local(place, Resources())
    workers = [backend.start(f"w{slot}", slot, []) for slot in range(3)]
    assert [worker._job.submission().args[-1] for worker in workers] == ["5", "7", "5"]
    wait_for(lambda: not any(worker.alive() for worker in workers))
    assert all(worker.returned() for worker in workers)


def test_a_worker_sees_the_gpu_it_was_told(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    job.work(str(place.path), [], "told", "2")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    job.work(str(place.path), [], "not told")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"


STUDY = '''
"""A study of a few seconds, for the tests of the launcher."""
from ablate import Scale, Study

study = Study(
    question="Does it run?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    scales={"tiny": Scale({"dim": 16, "depth": 2, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 12,
                           "pool": "avg", "holdout": 0.2})},
    seeds=2,
)
'''


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.py"
    path.write_text(STUDY)
    return path


def ablate(study: Path, root: Path, log: Path, *, deaf: bool = False) -> subprocess.Popen[bytes]:
    """`ablate run` in a session of its own, so that a test can kill all of it; deaf: as a shell's `&` starts it."""
    command = [sys.executable, "-m", "ablate", "run", str(study), "--root", str(root), "--jobs", "2"]
    with open(log, "ab") as file:
        deafen = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if deaf else None
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, preexec_fn=deafen)


def results_of(root: Path) -> dict[str, tuple[object, object]]:
    """Metrics and history of each record: what must not differ between equal runs."""
    return {record.key: (record.metrics, record.history) for record in records.read_all(root / "results")}


@pytest.fixture(scope="module")
def undisturbed(study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, object]]:
    root = tmp_path_factory.mktemp("undisturbed")
    assert ablate(study_file, root, root / "out.txt").wait() == 0, (root / "out.txt").read_text()
    found = results_of(root)
    assert len(found) == 6
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize("everything", [False, True], ids=["launcher", "whole session"])
def test_killed_in_mid_study_and_run_again(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]], everything: bool
) -> None:
    first = ablate(study_file, tmp_path, tmp_path / "out.txt")
    wait_for(lambda: len(list((tmp_path / "results").rglob("*.json"))) >= 1)
    (os.killpg if everything else os.kill)(first.pid, signal.SIGKILL)
    first.wait()
    assert len(results_of(tmp_path)) < 6, "the study was over before it could be killed"
    assert ablate(study_file, tmp_path, tmp_path / "out.txt").wait() == 0, (tmp_path / "out.txt").read_text()
    assert results_of(tmp_path) == undisturbed


def test_two_launchers_at_once_train_each_run_once(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]]
) -> None:
    both = [ablate(study_file, tmp_path, tmp_path / f"{name}.txt") for name in "ab"]
    assert [process.wait() for process in both] == [0, 0], (tmp_path / "a.txt").read_text()
    assert results_of(tmp_path) == undisturbed
    for key in undisturbed:
        log = (tmp_path / "runs" / key / "log.txt").read_text()
        assert log.count(f"run {key}, ") == 1, log


@pytest.mark.parametrize(
    ("number", "deaf"), [(signal.SIGINT, False), (signal.SIGTERM, True)], ids=["Ctrl-C", "kill %1"]
)
def test_interrupt_stops_the_workers_and_keeps_the_records(
    study_file: Path, tmp_path: Path, number: signal.Signals, deaf: bool
) -> None:
    process = ablate(study_file, tmp_path, tmp_path / "out.txt", deaf=deaf)
    wait_for(lambda: len(list((tmp_path / "results").rglob("*.json"))) >= 1)
    process.send_signal(number)
    assert process.wait(timeout=30) == 130, (tmp_path / "out.txt").read_text()
    assert "Traceback" not in (tmp_path / "out.txt").read_text()
    before = results_of(tmp_path)
    assert 1 <= len(before) < 6
    leases = [lease.current(folder) for folder in (tmp_path / "runs").iterdir()]
    assert not any(held.alive for held in leases if held is not None)
    time.sleep(1)
    assert results_of(tmp_path) == before


def test_a_killed_worker_costs_its_run_only(
    study_file: Path, tmp_path: Path, undisturbed: dict[str, tuple[object, object]]
) -> None:
    process = ablate(study_file, tmp_path, tmp_path / "out.txt")
    victim = wait_for_owner(tmp_path)
    os.kill(victim, signal.SIGKILL)
    assert process.wait(timeout=120) == 1
    found = results_of(tmp_path)
    assert len(found) == 5
    assert all(undisturbed[key] == outcome for key, outcome in found.items())
    assert "the worker process died" in (tmp_path / "out.txt").read_text()


def wait_for_owner(root: Path) -> int:
    """The process that first takes a run."""
    found: list[int] = []

    def look() -> bool:
        held = [lease.current(folder) for folder in (root / "runs").glob("*") if (folder / "lease.1").exists()]
        found.extend(one.owner.pid for one in held if one is not None and one.owner is not None)
        return bool(found)

    wait_for(look)
    return found[0]
