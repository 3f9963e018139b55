"""The state of a run, from what lies on disk."""

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


def look(root: Root) -> status.RunStatus:
    return status.StatusMonitor(root, [RUN]).poll()[0]


def test_waiting_before_anything(place: Root) -> None:
    assert look(place).state == "waiting"


def test_running_while_a_lease_is_held(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    held = lease.Lease.acquire(folder, "someone")
    assert held is not None
    (folder / "progress.json").write_bytes(orjson.dumps({"epoch": 3, "epochs": 30}))
    seen = look(place)
    assert (seen.state, seen.worker, seen.progress["epoch"]) == ("running", "someone", 3)
    held.release()
    seen = look(place)
    assert (seen.state, seen.worker) == ("waiting", "")


def test_lost_when_the_heartbeat_stops(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    elsewhere = lease.Owner(worker="far", host="another-host", pid=1, started="1")
    (folder / "lease.1").write_bytes(orjson.dumps(elsewhere.__dict__))
    assert look(place).state == "running"
    old = time.time() - lease.STALE_S - 1
    os.utime(folder / "lease.1", (old, old))
    seen = look(place)
    assert (seen.state, seen.worker) == ("lost", "far")
    assert seen.error == "far on another-host is gone without a word"


def test_failed_with_its_note(place: Root) -> None:
    folder = place.run_folder(RUN.key)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("one\ntwo\n")
    notes.note_failure(folder, "no luck", "someone")
    seen = look(place)
    assert (seen.state, seen.error) == ("failed", "no luck")
    note = notes.failure_of(folder)
    assert note is not None
    assert note["log"] == ["one", "two"]


def test_done_when_its_record_is_there(place: Root) -> None:
    monitor = status.StatusMonitor(place, [RUN])
    records.write(place.results, synthetic.record(RUN))
    seen = monitor.poll()[0]
    assert seen.state == "done"
    assert seen.metrics["top1"] == synthetic.record(RUN).metrics["top1"]


def test_a_record_anywhere_under_results_counts(place: Root) -> None:
    path = records.write(place.results, synthetic.record(RUN))
    (place.results / "kept").mkdir()
    path.rename(place.results / "kept" / path.name)
    assert look(place).state == "done"


@pytest.mark.parametrize("change", [{"run": RUN.replace(depth=2).to_dict()}, {"fingerprint": "of other data"}])
def test_a_record_that_does_not_answer_does_not_count(place: Root, change: dict[str, object]) -> None:
    real = synthetic.record(RUN)
    facts = {**real.dataset, "fingerprint": change.pop("fingerprint", real.dataset["fingerprint"])}
    content = {**real.__dict__, **change, "dataset": facts}
    path = records.path_of(place.results, RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps(content))
    monitor = status.StatusMonitor(place, [RUN])
    assert monitor.poll()[0].state == "waiting"
    assert monitor.stale == {RUN.key: path}


def test_the_fingerprint_of_data_not_at_hand_is_not_asked_for() -> None:
    assert fingerprint("somewhere_else", {}) is None
    assert fingerprint("digits", {}) == fingerprint("digits_shifted", {})


def test_data_that_is_missing_is_refused_before_training() -> None:
    with pytest.raises(SpecError, match="unknown dataset 'somewhere_else'"):
        check_data([RUN.replace(dataset="somewhere_else")], {})


@pytest.mark.parametrize(
    "changes", [{"auto_augment": "rand-m9"}, {"crop_padding": 2}, {"color_jitter": 0.1}, {"random_erasing": 0.1}]
)
def test_everything_a_data_set_is_asked_for_is_checked(changes: dict[str, Any]) -> None:
    """Though runs that ask for the same are checked once."""
    assert len(list(_distinct([RUN, RUN.replace(seed=1), RUN.replace(mixer="none")]))) == 1
    with pytest.raises(SpecError, match=f"{next(iter(changes))} is .*; dataset digits"):
        check_data([RUN, RUN.replace(**changes)], {})


JOB = "77_0"


@pytest.fixture
def submitted(place: Root) -> Ledger:
    """The run was asked for and given to a Slurm job; whoever submitted it has gone."""
    request(place, RUN, Resources())
    ledger = Ledger(place, "slurm", [RUN.key])
    ledger.add_jobs({JOB: [RUN.key]})
    ledger.leave()
    return ledger


def answer(monkeypatch: pytest.MonkeyPatch, *jobs: slurm.Job, silent: bool = False) -> None:
    """What Slurm says of its queue."""
    found = None if silent else {job.id: job for job in jobs}
    monkeypatch.setattr(slurm.QUEUE, "jobs", lambda **_: found)


@pytest.mark.parametrize(
    ("job", "state", "error"),
    [
        (slurm.Job(JOB, "PENDING", reason="Priority"), "queued", "Priority"),
        (slurm.Job(JOB, "RUNNING", reason="None"), "queued", ""),
        (slurm.Job("78_0", "RUNNING"), "lost", f"Slurm job {JOB} is over, without a word of this run"),
        (None, "queued", "Slurm does not answer"),
    ],
)
def test_a_run_given_to_a_job_is_queued_or_lost(
    place: Root,
    submitted: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    job: slurm.Job | None,
    state: str,
    error: str,
) -> None:
    answer(monkeypatch, *([job] if job else []), silent=job is None)
    seen = look(place)
    assert (seen.state, seen.job, seen.error) == (state, JOB, error)
    assert seen.log == f"{submitted.launch.logs}/{JOB}_0_log.out"


def test_what_was_cancelled_waits_and_is_not_lost(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    (place.run_folder(RUN.key) / "run.json").unlink()
    assert look(place).state == "waiting"


def test_a_requeued_job_s_run_is_queued_though_its_old_owner_is_dead(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = replace(lease.Owner.current("slurm"), pid=1, started="0", job=JOB)
    (place.run_folder(RUN.key) / "lease.1").write_bytes(orjson.dumps(owner.__dict__))
    answer(monkeypatch, slurm.Job(JOB, "PENDING", 1, "BeginTime"))
    assert look(place).state == "queued"
    answer(monkeypatch)
    assert look(place).state == "lost"


def test_the_last_launch_counts(place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    later = Ledger(place, "local", [RUN.key])
    seen = look(place)
    assert (seen.state, seen.job) == ("queued", ""), "its supervisor is this process"
    later.leave()
    assert look(place).state == "waiting"


def test_how_a_lost_run_s_job_ended_is_asked_of_the_accounting(
    place: Root, submitted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    monkeypatch.setattr(slurm, "call", lambda words: f"{JOB}|FAILED|0:9\n")
    seen = status.with_exit_reason([look(place)])[0]
    assert seen.error == f"Slurm job {JOB} ended: FAILED, exit code 0:9"
    monkeypatch.setattr(slurm, "call", lambda words: None)
    assert status.with_exit_reason([look(place)])[0].error == f"Slurm job {JOB} is over, without a word of this run"
