"""The files of launches, with their runs and jobs."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace

import orjson
import pytest

from ablate.dispatch import lease, slurm
from ablate.dispatch.lease import STALE_S, Owner
from ablate.dispatch.ledger import Launches, Ledger
from ablate.store.root import Root
from tests.fake_slurm import FakeSlurm


def read(root: Root) -> Launches:
    found = Launches(root)
    found.refresh()
    return found


def test_a_launch_is_written_and_read(root: Root) -> None:
    ledger = Ledger(root, "slurm", ["a", "b"])
    ledger.add_jobs({"7_0": ["a"]})
    ledger.add_jobs({"7_1": ["b"]})
    (launch,) = read(root).all()
    assert replace(launch, age_s=0.0) == ledger.launch
    assert launch.jobs == {"7_0": ["a"], "7_1": ["b"]}
    assert str(launch.log_of("7_0")).endswith(f"{launch.name}/7_0_0_log.out")
    assert launch.supervised
    ledger.leave()
    assert not read(root).all()[0].supervised


def test_a_refresh_reads_new_launches(root: Root, fake_slurm: FakeSlurm) -> None:
    ledger = Ledger(root, "slurm", ["a"])
    launches = read(root)
    assert launches.job_of("a") is None
    ledger.add_jobs({"7": ["a"]})
    fake_slurm.jobs["7"] = slurm.Job("7", "PENDING")
    launches.refresh()
    found = launches.job_of("a")
    assert found is not None
    assert found[1] == "7"
    assert launches.jobs == {"7": slurm.Job("7", "PENDING", 0, "", "node1")}


def test_the_newest_job_counts_until_a_machine_takes_the_run(root: Root) -> None:
    for name in ("7", "8"):
        ledger = Ledger(root, "slurm", ["a"])
        ledger.add_jobs({name: ["a"]})
        ledger.leave()
    found = read(root).job_of("a")
    assert found is not None
    assert found[1] == "8"
    Ledger(root, "slurm", ["a"])
    assert read(root).job_of("a") is not None, "a launch that has submitted nothing changes nothing"
    here = Ledger(root, "local", ["a"])
    assert read(root).job_of("a") is None
    assert read(root).supervised("a")
    here.leave()
    assert not read(root).supervised("a")


def test_slurm_is_not_queried_without_jobs(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(root, "local", ["a"])
    monkeypatch.setattr(slurm, "call", lambda _: pytest.fail("Slurm was queried"))
    read(root)


def test_a_supervisor_elsewhere_is_judged_by_its_heartbeat(root: Root) -> None:
    ledger = Ledger(root, "local", ["a"])
    content = orjson.loads(ledger.path.read_bytes())
    content["owner"]["machine"] = "another"
    ledger.path.write_bytes(orjson.dumps(content))
    assert read(root).supervised("a")
    old = time.time() - STALE_S - 1
    os.utime(ledger.path, (old, old))
    assert not read(root).supervised("a")


def test_a_run_is_supervised_while_one_of_its_launches_is(root: Root) -> None:
    first, second = Ledger(root, "local", ["a"]), Ledger(root, "inline", ["a"])
    second.leave()
    assert read(root).supervised("a"), "the one before lives"
    first.leave()
    assert not read(root).supervised("a")


def test_the_heartbeat_ends_with_the_launch(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.01)
    ledger = Ledger(root, "inline", ["a"])
    os.utime(ledger.path, (0, 0))
    deadline = time.monotonic() + 5
    while ledger.path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ledger.path.stat().st_mtime > 0
    ledger.leave()
    os.utime(ledger.path, (0, 0))
    time.sleep(0.05)
    assert ledger.path.stat().st_mtime == 0


@pytest.mark.parametrize("value", ["../../../victim", "/victim", "another"])
def test_the_name_of_a_launch_is_that_of_its_file(root: Root, value: str) -> None:
    ledger = Ledger(root, "slurm", ["a"])
    ledger.add_jobs({"7": ["a"]})
    content = orjson.loads(ledger.path.read_bytes())
    ledger.path.write_bytes(orjson.dumps(content | {"name": value, "logs": value}))
    (launch,) = read(root).all()
    assert launch.name == ledger.path.stem
    assert launch.log_of("7") == root.runs / "launches" / launch.name / "7_0_log.out"


OWNER = asdict(Owner.current("w"))
FINE = {"place": "local", "keys": ["a"], "owner": None, "jobs": {}}
SHAPES = [
    *([], None, 1, "a launch", {}, {"name": "of another version"}),
    *(FINE | {"keys": keys} for keys in (None, "a", 1, [1], ["../a"], ["*"], [""])),
    *(FINE | {"jobs": jobs} for jobs in (None, [], {"../7": ["a"]}, {"": ["a"]}, {"7": None}, {"7": ["../a"]})),
    *(FINE | {"owner": owner} for owner in (1, [1], "w", {"worker": "w"}, OWNER | {"pid": "1"}, OWNER | {"more": 1})),
    FINE | {"place": None},
]


@pytest.mark.parametrize("content", SHAPES, ids=range(len(SHAPES)))
def test_an_invalid_file_is_skipped(root: Root, content: object) -> None:
    Ledger(root, "local", ["a"])
    (root.runs / "launches" / "0.json").write_bytes(orjson.dumps(content))
    (root.runs / "launches" / "1.json").write_text("{")
    for name in (".json", "..json", "...json"):
        (root.runs / "launches" / name).write_bytes(orjson.dumps(FINE))
    found = read(root)
    assert len(found.all()) == 1
    assert [one.path.name for one in found.unreadable] == ["0.json", "1.json"]


def test_a_known_launch_counts_while_its_file_is_damaged(root: Root) -> None:
    ledger = Ledger(root, "local", ["a"])
    found = read(root)
    ledger.path.write_text("{")
    os.utime(ledger.path, (1, 1))
    found.refresh()
    assert [launch.keys for launch in found.all()] == [["a"]]
    assert [one.path for one in found.unreadable] == [ledger.path]


def test_the_name_of_a_launch_is_one_reading_of_the_clock(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a launch at the turn of a second would sort before an earlier one, whose jobs would count."""
    names = []
    for now in (1_700_000_000_999_999_000, 1_700_000_001_000_001_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        ledger = Ledger(root, "slurm", [])
        ledger.leave()
        names.append(ledger.launch.name)
    assert names == sorted(names)
    assert [name.split("-")[2] for name in names] == ["999999", "000001"]
    assert names[0].startswith(time.strftime("%Y%m%d-%H%M%S", time.localtime(1_700_000_000)))
