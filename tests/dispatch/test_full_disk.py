"""A full disk damages nothing: what cannot be written is named, and the same request finishes when there is space."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from ablate.dispatch.lease import Lease, current, revoke
from ablate.dispatch.ledger import Launches, Ledger
from ablate.dispatch.notes import LOG, Progress, failure_of, logged, note_failure
from ablate.dispatch.worker import request, work
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from tests.limits import full_disk
from tests.tiny import TINY


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_lease_that_cannot_be_written_is_nobodys(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large") as raised:
        Lease.acquire(tmp_path, "one")
    assert raised.value.filename == str(tmp_path / "lease.1")
    assert files(tmp_path) == []
    lease = Lease.acquire(tmp_path, "two")
    assert lease is not None
    with full_disk(), pytest.raises(OSError, match="File too large"):
        revoke(tmp_path, "one")
    found = current(tmp_path)
    assert found is not None
    assert found.alive
    lease.release()


def test_a_launch_ends_where_its_file_cannot_be_written(root: Root) -> None:
    ledger = Ledger(root, "local", ["a"])
    with full_disk():
        ledger.leave()
    launches = Launches(root)
    launches.refresh()
    assert [launch.keys for launch in launches.all()] == [["a"]]
    assert not launches.unreadable


def test_a_note_of_a_failure_names_its_file(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large") as raised:
        note_failure(tmp_path, "it failed", "one")
    assert raised.value.filename == str(tmp_path / "failure.json")
    assert files(tmp_path) == []


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with full_disk(), logged(tmp_path / "log.txt"):
        LOG.warning("one")
        LOG.warning("two")
    assert capsys.readouterr().err.splitlines() == [
        f"cannot write {tmp_path / 'log.txt'}: [Errno {errno.EFBIG}] File too large"
    ]
    with logged(tmp_path / "log.txt"):
        LOG.warning("three")
    assert "three" in (tmp_path / "log.txt").read_text()


def test_progress_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), full_disk(), Progress(tmp_path, TINY) as progress:
        progress({"epoch": 0, "step": 1, "steps": 2})
    assert caplog.messages == [f"cannot write {tmp_path / 'progress.json'}: File too large; training continues"]


@pytest.mark.parametrize("size", [0, 100, 1000, 3000])
def test_the_run_finishes_when_there_is_space(
    size: int, root: Root, trained: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full for the lease, the log, a checkpoint, the record or the note of the failure."""
    request(root, TINY, Resources(checkpoint_minutes=0))
    folder = root.run_folder(TINY.key)
    named: list[str | None] = []
    with full_disk(size):
        try:
            work(str(root.path), [TINY.key], "one-0")
        except OSError as error:
            named.append(error.filename)
    assert None not in named
    assert "Traceback" not in capsys.readouterr().err
    assert not list(root.results.glob("*/*.json"))
    note = failure_of(folder)
    assert note is None or note["error"].startswith("the disk is full at ")
    (folder / "failure.json").unlink(missing_ok=True)
    assert work(str(root.path), [TINY.key], "one-0") == [TINY.key]
    (record,) = records.read_all(root.results)
    assert (record.metrics, record.history) == (trained.metrics, trained.history)
    assert not [name for name in files(root.path) if name.startswith(".")]
