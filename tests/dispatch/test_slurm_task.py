"""The clock of a Slurm job, and what the job does on signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ablate.dispatch import slurm, slurm_task
from ablate.spec.resources import Resources
from ablate.store.root import Root
from tests.fake_slurm import FakeSlurm


@pytest.fixture(autouse=True)
def _in_a_job(monkeypatch: pytest.MonkeyPatch, fake_slurm: FakeSlurm) -> Iterator[None]:
    """Run as job 7; signal handlers and thread counts are restored."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(slurm_task, "QUERY_S", 0.0)
    fake_slurm.jobs["7"] = slurm.Job("7", "RUNNING")
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def requeued(monkeypatch: pytest.MonkeyPatch, fake_slurm: FakeSlurm) -> list[str]:
    """Return the list of jobs that were requeued."""
    requests: list[str] = []

    def requeue(job: str) -> bool:
        requests.append(job)
        fake_slurm.jobs[job] = slurm.Job(job, "PENDING", 1)
        return True

    monkeypatch.setattr(slurm, "requeue", requeue)
    return requests


def in_task(monkeypatch: pytest.MonkeyPatch, root: Root, body: Any, left: float | None = None, **fields: Any) -> None:
    monkeypatch.setattr(slurm, "seconds_left", lambda _: left)
    monkeypatch.setattr(slurm_task, "work", body)
    BEGUN.clear()
    slurm_task.task(str(root.path), ["a"], Resources(**fields).to_dict())


BEGUN = threading.Event()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the times that the job's clock was set to; it fires as soon as the work has started."""
    seconds: list[float] = []

    class Timer(threading.Timer):
        def run(self) -> None:
            seconds.append(self.interval)
            BEGUN.wait()
            self.function()

    monkeypatch.setattr(threading, "Timer", Timer)
    return seconds


def sleep(*_: Any) -> None:
    """Work until a signal ends it, in short sleeps, since a signal before a sleep does not end it."""
    BEGUN.set()
    for _ in range(60_000):
        time.sleep(0.01)


def test_the_name_of_the_worker_has_the_restarts(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    in_task(monkeypatch, root, lambda *given: seen.extend(given))
    assert seen == [str(root.path), ["a"], "slurm7r2"]


def test_its_clock_stops_and_requeues_it(
    root: Root, monkeypatch: pytest.MonkeyPatch, requeued: list[str], clock: list[float]
) -> None:
    monkeypatch.setenv(slurm_task.MARGIN, "30")
    with pytest.raises(SystemExit) as end:
        in_task(monkeypatch, root, sleep, left=100.0)
    assert clock == [70.0]
    assert end.value.code == 128 + signal.SIGTERM
    assert requeued == ["7"]


def test_a_limit_that_slurm_does_not_report_is_the_requested_one(
    root: Root, monkeypatch: pytest.MonkeyPatch, requeued: list[str], clock: list[float]
) -> None:
    monkeypatch.setenv(slurm_task.MARGIN, "20")
    with pytest.raises(SystemExit):
        in_task(monkeypatch, root, sleep, left=None, minutes=1)
    assert clock == [40.0]
    assert requeued == ["7"]


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGUSR2, ["7"]), (signal.SIGTERM, [])], ids=["preemption", "scancel"]
)
def test_a_signal_stops_it(
    root: Root,
    monkeypatch: pytest.MonkeyPatch,
    fake_slurm: FakeSlurm,
    requeued: list[str],
    number: signal.Signals,
    expected: list[str],
) -> None:
    """SIGUSR2 requeues the job; after SIGTERM, Slurm decides."""

    def body(*_: Any) -> None:
        if number == signal.SIGTERM:
            fake_slurm.end("7", "CANCELLED|0:15")
        signal.raise_signal(number)
        sleep()

    with pytest.raises(SystemExit):
        in_task(monkeypatch, root, body)
    assert requeued == expected


def test_a_job_that_cannot_be_requeued_ends_with_a_message(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "requeue", lambda _: False)
    with pytest.raises(SystemExit, match="Slurm did not requeue job 7; launch the study again"):
        in_task(monkeypatch, root, lambda *_: signal.raise_signal(signal.SIGUSR2) or sleep())


def test_the_first_process_decides_for_all(root: Root, monkeypatch: pytest.MonkeyPatch, requeued: list[str]) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    before = threading.active_count()
    in_task(monkeypatch, root, lambda *_: None, left=0.0)
    assert threading.active_count() == before, "no clock of its own"


@pytest.mark.parametrize(("left", "due"), [(3600.0, 3480.0), (100.0, 80.0)])
def test_the_margin_is_a_share_of_a_short_limit(
    root: Root, monkeypatch: pytest.MonkeyPatch, left: float, due: float
) -> None:
    timers: list[float] = []

    class Timer(threading.Timer):
        def __init__(self, seconds: float, call: Any) -> None:
            timers.append(seconds)
            super().__init__(1000, call)

        def start(self) -> None:
            pass

    monkeypatch.delenv(slurm_task.MARGIN, raising=False)
    monkeypatch.setattr(threading, "Timer", Timer)
    in_task(monkeypatch, root, lambda *_: None, left=left)
    assert timers == [due]


def test_a_job_without_progress_is_not_requeued_for_ever(
    root: Root, monkeypatch: pytest.MonkeyPatch, requeued: list[str], clock: list[float]
) -> None:
    """A checkpoint at a later step is progress; a new one at the same step is not."""
    folder = root.run_folder("a") / "checkpoints"
    folder.mkdir(parents=True)

    def stopped(name: str) -> str:
        def body(*_: Any) -> None:
            (folder / name).touch()
            sleep()

        with pytest.raises(SystemExit) as end:
            in_task(monkeypatch, root, body, left=100.0)
        return str(end.value.code)

    assert stopped("0001-000000005.pt") == stopped("0002-000000009.pt") == str(128 + signal.SIGTERM)
    assert "made no progress; increase --minutes" in stopped("0003-000000009.pt")
    assert requeued == ["7", "7"]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_only_the_first_process_asks_slurm_and_only_about_its_job(
    root: Root, monkeypatch: pytest.MonkeyPatch, fake_slurm: FakeSlurm, rank: str
) -> None:
    """A thousand tasks near their limit must not query the controller; the others are ended by srun."""
    asked: list[list[str]] = []
    answers = iter(["RUNNING\n", None, ""])
    monkeypatch.setattr(slurm, "call", lambda words: asked.append(list(words)) or next(answers))
    monkeypatch.setattr(slurm, "seconds_left", lambda _: asked.append(["limit"]))
    monkeypatch.setattr(slurm_task, "work", lambda *_: signal.raise_signal(signal.SIGTERM) or sleep())
    monkeypatch.setattr(slurm_task, "WAIT_S", 600.0 if rank == "0" else 0.05)
    monkeypatch.setenv("SLURM_PROCID", rank)
    with pytest.raises(SystemExit) as end:
        slurm_task.task(str(root.path), ["a"], Resources().to_dict())
    assert end.value.code == 128 + signal.SIGTERM
    query = ["squeue", "--noheader", "--jobs", "7", "-o", "%T"]
    assert asked == ([["limit"], query, query, query] if rank == "0" else [])
