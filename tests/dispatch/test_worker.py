"""A worker takes free runs, trains them, and writes a record or a failure note for each."""

from __future__ import annotations

import errno
import json
import logging
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ablate.dispatch import notes, worker
from ablate.dispatch.lease import Lease, Owner, current
from ablate.dispatch.notes import Progress, failure_of, note_failure
from ablate.dispatch.worker import request, requested, work
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from tests import processes
from tests.tiny import TINY, record_of

RUNS = [TINY.replace(seed=seed) for seed in range(3)]
KEYS = [run.key for run in RUNS]
Body = Callable[[Run], None]


@pytest.fixture
def place(root: Root) -> Root:
    for run in RUNS:
        request(root, run, Resources())
    return root


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Replace training; the list collects the runs."""
    return pretend(monkeypatch)


def pretend(monkeypatch: pytest.MonkeyPatch, body: Body = lambda _: None) -> list[Run]:
    requested_runs: list[Run] = []

    def execute(run: Run, *_: Any) -> Record:
        requested_runs.append(run)
        body(run)
        return record_of(run)

    monkeypatch.setattr(worker, "execute", execute)
    return requested_runs


def do(root: Root, keys: list[str] = KEYS) -> list[str]:
    return work(str(root.path), keys, "worker")


def recorded(root: Root) -> set[str]:
    return set(records.index(root.results))


def log(root: Root, run: Run) -> str:
    return (root.run_folder(run.key) / "log.txt").read_text()


def test_a_run_is_trained_and_recorded_for_real(root: Root, trained: Record) -> None:
    """The record of `work` equals that of `execute`, bit for bit."""
    request(root, TINY, Resources())
    assert do(root, [TINY.key]) == [TINY.key]
    record = records.read(records.path_of(root.results, TINY))
    assert record.answers(TINY)
    assert record.metrics == trained.metrics
    assert record.history == trained.history
    text = log(root, TINY)
    assert "epoch 2 of 2" in text
    assert f"done: test top-1 {record.metrics['top1']:.2f} % of 360" in text
    progress = json.loads((root.run_folder(TINY.key) / "progress.json").read_text())
    assert progress["epochs"] == 2


def test_a_request_of_another_version_is_a_sentence_not_a_crash(root: Root) -> None:
    request(root, TINY, Resources())
    path = root.run_folder(TINY.key) / "run.json"
    content = json.loads(path.read_text())
    content["resources"]["tomorrow"] = 1
    path.write_text(json.dumps(content))
    assert work(str(root.path), [TINY.key], "worker") == [TINY.key]
    found = failure_of(root.run_folder(TINY.key))
    assert found is not None
    assert "this version of ablate knows no resources tomorrow" in found["error"]


def test_a_request_can_be_read_again(root: Root) -> None:
    resources = Resources(threads=2, workers=3, device="cpu", data={"mine": "/there"})
    request(root, TINY, resources)
    assert requested(root, TINY.key) == (TINY, resources)


def test_every_run_is_trained_once_and_its_lease_released(place: Root, executed: list[Run]) -> None:
    assert do(place) == KEYS
    assert executed == RUNS
    assert recorded(place) == set(KEYS)
    for key in KEYS:
        held = current(place.run_folder(key))
        assert held is not None
        assert not held.alive
    assert do(place) == []
    assert executed == RUNS, "what is done is not done again"


def test_a_failure_writes_a_note_and_does_not_stop_the_others(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: Run) -> None:
        if run == RUNS[1]:
            raise ValueError("this one")

    pretend(monkeypatch, fail)
    assert do(place) == KEYS
    assert recorded(place) == {KEYS[0], KEYS[2]}
    note = failure_of(place.run_folder(KEYS[1]))
    assert note is not None
    assert note["error"] == "ValueError: this one"
    assert note["worker"] == "worker"
    assert "Traceback" in "\n".join(note["log"])
    assert failure_of(place.run_folder(KEYS[0])) is None


def test_a_failed_run_is_not_retried_until_its_note_is_removed(place: Root, executed: list[Run]) -> None:
    note_failure(place.run_folder(KEYS[1]), "it was", "another")
    assert do(place) == [KEYS[0], KEYS[2]]
    (place.run_folder(KEYS[1]) / "failure.json").unlink()
    assert do(place) == [KEYS[1]]


def test_a_run_of_another_worker_is_skipped(place: Root, executed: list[Run]) -> None:
    other = Lease.acquire(place.run_folder(KEYS[1]), "another")
    assert other is not None
    assert do(place) == [KEYS[0], KEYS[2]]
    assert KEYS[1] not in recorded(place)
    assert other.held()
    other.release()
    assert do(place) == [KEYS[1]]


def test_a_run_that_is_finished_before_the_lease_is_skipped(
    place: Root, executed: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = Lease.acquire

    def slow(folder: Any, worker: str) -> Lease | None:
        records.write(place.results, record_of(RUNS[0]))
        return acquire(folder, worker)

    monkeypatch.setattr(Lease, "acquire", slow)
    assert do(place, KEYS[:1]) == []
    assert executed == []
    held = current(place.run_folder(KEYS[0]))
    assert held is not None
    assert not held.alive


def taken_over(place: Root) -> Body:
    def body(run: Run) -> None:
        folder = place.run_folder(run.key)
        (folder / "lease.2").write_text((folder / "lease.1").read_text().replace("worker", "other", 1))

    return body


def test_a_worker_that_was_taken_over_writes_no_record(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, taken_over(place))
    assert do(place, KEYS[:1]) == []
    assert recorded(place) == set()
    assert failure_of(place.run_folder(KEYS[0])) is None
    assert "another worker has taken over this run" in log(place, RUNS[0])
    assert Lease.acquire(place.run_folder(KEYS[0]), "third") is None, "the new owner's lease still counts"


def test_a_worker_that_was_taken_over_leaves_no_failure_note(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(run: Run) -> None:
        taken_over(place)(run)
        raise ValueError("too late to matter")

    pretend(monkeypatch, body)
    do(place, KEYS[:1])
    assert failure_of(place.run_folder(KEYS[0])) is None
    assert "too late to matter" in log(place, RUNS[0])


def test_an_interrupted_worker_releases_its_lease_and_writes_no_note(
    place: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Run) -> None:
        raise KeyboardInterrupt

    pretend(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        do(place)
    held = current(place.run_folder(KEYS[0]))
    assert held is not None
    assert not held.alive
    assert failure_of(place.run_folder(KEYS[0])) is None
    assert recorded(place) == set()


def test_a_diverged_run_fails_with_its_sentence(root: Root) -> None:
    run = TINY.replace(lr=1e18, min_lr=1e18, opt="sgd")
    request(root, run, Resources())
    assert do(root, [run.key]) == [run.key]
    note = failure_of(root.run_folder(run.key))
    assert note is not None
    assert note["error"].startswith("the training loss of epoch 1 is")


def test_each_run_has_a_log_with_its_warnings(place: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda run: warnings.warn(f"mind seed {run.seed}", UserWarning, stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        do(place)
    for run in RUNS:
        assert [seed for seed in range(3) if f"mind seed {seed}" in log(place, run)] == [run.seed]
    assert not logging.getLogger("ablate").handlers, "nothing is left behind"


def test_a_second_try_is_logged_after_the_first(place: Root, executed: list[Run]) -> None:
    (place.run_folder(KEYS[0]) / "log.txt").write_text("the first try\n")
    do(place, KEYS[:1])
    assert log(place, RUNS[0]).startswith("the first try\n")
    assert "done: test top-1 50.00 % of 8" in log(place, RUNS[0])


def test_a_note_keeps_the_last_lines_of_the_log(root: Root) -> None:
    folder = root.run_folder("k")
    note_failure(folder, "no log yet", "w")
    assert (failure_of(folder) or {})["log"] == []
    (folder / "log.txt").write_text("\n".join(f"line {number}" for number in range(100)))
    note_failure(folder, "again", "w")
    assert (failure_of(folder) or {})["log"] == [f"line {number}" for number in range(100 - notes.LOG_TAIL, 100)]


def test_progress_is_written_once_in_a_while_and_at_the_end(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(notes, "write_atomically", lambda path, data, durable: written.append(json.loads(data)["step"]))
    with Progress(root.run_folder("k"), TINY) as progress:
        for step in range(1, 6):
            progress({"epoch": 1, "step": step, "steps": 10})
    assert written[-1] == 5
    assert len(written) <= 2


def test_progress_that_cannot_be_written_is_told_once(
    root: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[bytes] = []

    def refuse(path: Path, data: bytes, durable: bool) -> None:
        tried.append(data)
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(notes, "PROGRESS_EVERY_S", 0.001)
    monkeypatch.setattr(notes, "write_atomically", refuse)
    with Progress(root.run_folder("k"), TINY) as progress:
        for step in range(1, 6):
            progress({"epoch": 1, "step": step, "steps": 10})
            processes.wait_for(lambda count=step: len(tried) >= count, "an attempt")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("progress.json: Stale file handle; training continues")


def test_a_file_system_that_does_not_answer_does_not_delay_the_training(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(notes, "PROGRESS_EVERY_S", 0.001)
    monkeypatch.setattr(notes, "END_S", 0.01)
    monkeypatch.setattr(notes, "write_atomically", lambda *_, **__: answered.wait())
    with Progress(root.run_folder("k"), TINY) as progress:
        for step in range(1, 100):
            progress({"epoch": 1, "step": step, "steps": 100})
    answered.set()


def test_progress_has_the_remaining_time(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before the second step, such as opening the data, says nothing about the others."""
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Progress(root.run_folder("k"), TINY)
    clock[0] += 30
    progress({"epoch": 0, "step": 1, "steps": 10})
    assert (progress.news["elapsed_s"], progress.news["eta_s"]) == (30, None)
    clock[0] += 2
    progress({"epoch": 0, "step": 5, "steps": 10})
    steps = 10 * TINY.epochs
    assert (progress.news["elapsed_s"], progress.news["eta_s"]) == (32, pytest.approx(0.5 * (steps - 5)))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"a word"', '{"kind": "of another version"}'])
def test_a_run_with_a_damaged_note_is_trained(place: Root, executed: list[Run], text: str) -> None:
    """Whether it would fail again is not known."""
    folder = place.run_folder(KEYS[0])
    (folder / "failure.json").write_text(text)
    assert failure_of(folder) is None
    assert work(str(place.path), KEYS[:1], "w") == KEYS[:1]
    assert [run.key for run in executed] == KEYS[:1]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"run": 7, "resources": {}}', '{"run": {}}'])
def test_a_damaged_request_fails_its_run_only(place: Root, executed: list[Run], text: str) -> None:
    folder = place.run_folder(KEYS[0])
    (folder / "run.json").write_text(text)
    assert work(str(place.path), KEYS, "w") == KEYS
    assert [run.key for run in executed] == KEYS[1:]
    error = (failure_of(folder) or {})["error"]
    assert error.startswith(f"{folder / 'run.json'} is unreadable: ")
    assert error.endswith("; launch the study again, which writes it again")


@pytest.mark.parametrize(("worker", "taken"), [("launch-1", False), ("launch-0", True), ("other-0", True)])
def test_a_run_of_a_dead_worker_is_free_except_for_its_launch(
    place: Root, executed: list[Run], worker: str, taken: bool
) -> None:
    """Workers of the same launch leave it to the launcher; a restarted worker has the same name."""
    owner = replace(Owner.current("launch-0"), started="1")
    (place.run_folder(KEYS[0]) / "lease.1").write_text(json.dumps(asdict(owner)))
    assert (KEYS[0] in work(str(place.path), KEYS, worker)) == taken
    assert len(executed) == 2 + taken


def test_a_run_that_is_cancelled_before_the_lease_is_skipped(
    place: Root, executed: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = Lease.acquire

    def late(folder: Path, worker: str) -> Lease | None:
        (folder / "run.json").unlink()
        return acquire(folder, worker)

    monkeypatch.setattr(Lease, "acquire", late)
    assert work(str(place.path), KEYS[:1], "w") == []
    assert executed == []
    held = current(place.run_folder(KEYS[0]))
    assert held
    assert not held.alive


def test_a_run_whose_code_exits_has_failed(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its launch would start it again without end."""

    def leave(*_: object) -> None:
        raise SystemExit("no licence")

    monkeypatch.setattr("ablate.dispatch.worker.execute", leave)
    request(root, TINY, Resources())
    assert work(str(root.path), [TINY.key], "one-0") == [TINY.key]
    note = failure_of(root.run_folder(TINY.key))
    assert note is not None
    assert (note["error"], note["kind"]) == ("SystemExit: no licence", "SystemExit")
