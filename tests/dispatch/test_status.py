"""The state of a run, from the files on disk."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.dispatch import lease, notes, slurm, status
from ablate.dispatch.data import _distinct, check_data, fingerprint
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.worker import request
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests import synthetic

RUN = Run(pool="avg", image_size=12, patch_size=4, dim=8, depth=1, heads=1)


@pytest.fixture
def place(tmp_path: Path) -> Root:
    return Root(tmp_path)


def state_of(root: Root) -> status.RunStatus:
    return status.StatusMonitor(root, [RUN]).poll()[0]


def test_waiting_before_anything(place: Root) -> None:
    assert state_of(place).state == "waiting"


def test_a_living_worker_of_a_dead_launcher_will_come_to_the_other_runs(place: Root) -> None:
    other = RUN.replace(seed=1)
    for run in (RUN, other):
        request(place, run, Resources())
    ledger = Ledger(place, "local", [RUN.key, other.key])
    held = lease.Lease.acquire(place.run_folder(RUN.key), f"{ledger.launch.name}-0")
    assert held is not None
    ledger.leave()
    monitor = status.StatusMonitor(place, [RUN, other])
    assert [one.state for one in monitor.poll()] == ["running", "queued"]
    held.release()
    assert [one.state for one in monitor.poll()] == ["waiting", "waiting"]


def test_an_interrupted_run_keeps_its_epoch(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_bytes(orjson.dumps({"epoch": 3, "epochs": 30, "elapsed_s": 6, "eta_s": None}))
    found = state_of(place)
    assert (found.state, found.progress["epoch"]) == ("waiting", 3)


def test_running_while_a_lease_is_held(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    held = lease.Lease.acquire(folder, "someone")
    assert held is not None
    (folder / "progress.json").write_bytes(orjson.dumps({"epoch": 3, "epochs": 30, "elapsed_s": 6, "eta_s": 54.0}))
    found = state_of(place)
    assert (found.state, found.worker, found.progress["epoch"]) == ("running", "someone", 3)
    held.release()
    found = state_of(place)
    assert (found.state, found.worker) == ("waiting", "")


def test_lost_when_the_heartbeat_stops(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    elsewhere = lease.Owner(worker="far", host="another-host", pid=1, started="1")
    (folder / "lease.1").write_bytes(orjson.dumps(elsewhere.__dict__))
    assert state_of(place).state == "running"
    old = time.time() - lease.STALE_S - 1
    os.utime(folder / "lease.1", (old, old))
    found = state_of(place)
    assert (found.state, found.worker) == ("lost", "far")
    assert found.error == "worker disappeared (no exit status): far on another-host"


def test_progress_without_a_number_shows_the_other_ones(place: Root) -> None:
    """JSON has no NaN: the loss of a run that diverges is null."""
    held = lease.Lease.acquire(place.run_folder(RUN.key), "someone")
    assert held is not None
    content = {"epoch": 3, "epochs": 30, "elapsed_s": 6, "eta_s": 54.0, "train_loss": None}
    (place.run_folder(RUN.key) / "progress.json").write_bytes(orjson.dumps(content))
    assert "train_loss" not in state_of(place).progress
    assert state_of(place).progress["epoch"] == 3
    held.release()


def test_running_with_damaged_progress(place: Root) -> None:
    held = lease.Lease.acquire(place.run_folder(RUN.key), "someone")
    assert held is not None
    path = place.run_folder(RUN.key) / "progress.json"
    path.write_text("{}")
    found = state_of(place)
    assert (found.state, found.progress) == ("running", {})
    assert found.error == (f"{path} is unreadable: it lacks epoch, epochs, elapsed_s; its worker will write it again")
    held.release()


@pytest.mark.parametrize("name", ["run.json", "failure.json"])
def test_a_damaged_file_is_named_with_what_to_do(place: Root, name: str) -> None:
    request(place, RUN, Resources())
    path = place.run_folder(RUN.key) / name
    path.write_text("7")
    found = state_of(place)
    assert found.state == "unreadable"
    assert found.error == (
        f"{path} is unreadable: it must be a JSON object, got 7; "
        "delete it, or run the study again, which trains this run"
    )


def test_a_damaged_lease_is_somebody_s_while_it_has_a_heartbeat(place: Root) -> None:
    path = place.run_folder(RUN.key) / "lease.1"
    path.parent.mkdir(parents=True)
    path.write_text("[]")
    assert state_of(place).state == "running"
    assert lease.Lease.acquire(path.parent, "another") is None
    old = time.time() - lease.STALE_S - 1
    os.utime(path, (old, old))
    found = state_of(place)
    assert found.state == "unreadable"
    assert found.error == (
        f"{path} is unreadable: it must be a JSON object, got []; run the study again, which trains this run"
    )
    held = lease.Lease.acquire(path.parent, "another")
    assert held is not None
    assert held.generation == 2
    held.release()
    assert state_of(place).state == "waiting"


def test_a_lost_run_names_its_damaged_file_too(place: Root) -> None:
    owner = replace(lease.Owner.current("w"), started="0")
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    (folder / "lease.1").write_bytes(orjson.dumps(owner.__dict__))
    (folder / "failure.json").write_text("7")
    found = state_of(place)
    assert found.state == "lost"
    assert f"{folder / 'failure.json'} is unreadable" in found.error


def test_failed_with_its_note(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("one\ntwo\n")
    notes.note_failure(folder, "no luck", "someone")
    found = state_of(place)
    assert (found.state, found.error) == ("failed", "no luck")
    note = notes.failure_of(folder)
    assert note is not None
    assert note["log"] == ["one", "two"]


def test_done_with_a_record(place: Root) -> None:
    monitor = status.StatusMonitor(place, [RUN])
    records.write(place.results, synthetic.record(RUN))
    found = monitor.poll()[0]
    assert found.state == "done"
    assert found.metrics["top1"] == synthetic.record(RUN).metrics["top1"]


def test_a_record_anywhere_under_results_counts(place: Root) -> None:
    path = records.write(place.results, synthetic.record(RUN))
    (place.results / "kept").mkdir()
    path.rename(place.results / "kept" / path.name)
    assert state_of(place).state == "done"


def test_a_record_of_other_data_does_not_count(place: Root) -> None:
    path = records.write(place.results, synthetic.record(RUN, dataset={"fingerprint": "of other data"}))
    monitor = status.StatusMonitor(place, [RUN])
    assert monitor.poll()[0].state == "waiting"
    assert monitor.stale == {RUN.key: path}


def test_a_record_with_the_fields_of_another_run_is_damaged(place: Root) -> None:
    """Its run is not trained again by itself, and the record is not set aside."""
    real = synthetic.record(RUN)
    path = records.path_of(place.results, RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps({**real.__dict__, "run": RUN.replace(depth=2).to_dict()}))
    monitor = status.StatusMonitor(place, [RUN])
    assert monitor.poll()[0].state == "damaged"
    assert f"its fields are not those of run {RUN.key}" in monitor.poll()[0].error
    assert monitor.stale == {}


def test_a_dataset_that_is_not_available_has_no_fingerprint() -> None:
    assert fingerprint("somewhere_else", {}) is None
    assert fingerprint("digits", {}) == fingerprint("digits_shifted", {})


def test_missing_data_is_rejected_before_training() -> None:
    with pytest.raises(SpecError, match="unknown dataset 'somewhere_else'"):
        check_data([RUN.replace(dataset="somewhere_else")], {})


@pytest.mark.parametrize(
    "changes", [{"auto_augment": "rand-m9"}, {"crop_padding": 2}, {"color_jitter": 0.1}, {"random_erasing": 0.1}]
)
def test_all_fields_that_a_dataset_checks_are_checked(changes: dict[str, Any]) -> None:
    """Runs that differ only in other fields are checked once."""
    assert len(list(_distinct([RUN, RUN.replace(seed=1), RUN.replace(mixer="none")]))) == 1
    with pytest.raises(SpecError, match=f"{next(iter(changes))} must be .* for digits_shifted"):
        check_data([RUN, RUN.replace(**changes)], {})


JOB = "77_0"


@pytest.fixture
def submitted(place: Root) -> Ledger:
    """Return the ledger of a run that was submitted to Slurm by a process that has ended."""
    request(place, RUN, Resources())
    ledger = Ledger(place, "slurm", [RUN.key])
    ledger.add_jobs({JOB: [RUN.key]})
    ledger.leave()
    return ledger


def answer(monkeypatch: pytest.MonkeyPatch, *jobs: slurm.Job, silent: bool = False) -> None:
    """Set the answer of Slurm's queue."""
    found = None if silent else {job.id: job for job in jobs}
    monkeypatch.setattr(slurm.QUEUE, "jobs", lambda **_: found)


@pytest.mark.parametrize(
    ("job", "state", "error"),
    [
        (slurm.Job(JOB, "PENDING", reason="Priority"), "queued", "Priority"),
        (slurm.Job(JOB, "RUNNING", reason="None"), "queued", ""),
        (slurm.Job("78_0", "RUNNING"), "lost", f"Slurm job {JOB} ended without a result for this run"),
        (None, "queued", "Slurm does not answer"),
    ],
)
def test_a_submitted_run_is_queued_or_lost(
    place: Root,
    submitted: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    job: slurm.Job | None,
    state: str,
    error: str,
) -> None:
    answer(monkeypatch, *([job] if job else []), silent=job is None)
    found = state_of(place)
    assert (found.state, found.job, found.error) == (state, JOB, error)
    assert found.log == f"{submitted.launch.logs}/{JOB}_0_log.out"


def test_a_cancelled_run_waits_and_is_not_lost(place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    (place.run_folder(RUN.key) / "run.json").unlink()
    assert state_of(place).state == "waiting"


def test_a_requeued_job_s_run_is_queued_though_its_old_owner_is_dead(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = replace(lease.Owner.current("slurm"), pid=1, started="0", job=JOB)
    (place.run_folder(RUN.key) / "lease.1").write_bytes(orjson.dumps(owner.__dict__))
    answer(monkeypatch, slurm.Job(JOB, "PENDING", 1, "BeginTime"))
    assert state_of(place).state == "queued"
    answer(monkeypatch)
    assert state_of(place).state == "lost"


def test_an_unreadable_run_with_a_job_is_queued_or_lost(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a launch would submit it again and again."""
    (place.run_folder(RUN.key) / "failure.json").write_text("7")
    answer(monkeypatch, slurm.Job(JOB, "PENDING", reason="Priority"))
    assert state_of(place).state == "queued"
    answer(monkeypatch)
    found = state_of(place)
    assert found.state == "lost"
    assert found.error.startswith(f"Slurm job {JOB} ended without a result for this run; ")
    assert "failure.json is unreadable" in found.error


def test_the_last_launch_counts(place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    later = Ledger(place, "local", [RUN.key])
    found = state_of(place)
    assert (found.state, found.job) == ("queued", ""), "its supervisor is this process"
    later.leave()
    assert state_of(place).state == "waiting"


def test_accounting_knows_how_the_job_of_a_lost_run_ended(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    monkeypatch.setattr(slurm, "call", lambda words: f"{JOB}|FAILED|0:9\n")
    found = status.with_exit_reason([state_of(place)])[0]
    assert found.error == f"Slurm job {JOB} ended: FAILED, exit code 0:9"
    monkeypatch.setattr(slurm, "call", lambda words: None)
    assert status.with_exit_reason([state_of(place)])[0].error == f"Slurm job {JOB} ended without a result for this run"
