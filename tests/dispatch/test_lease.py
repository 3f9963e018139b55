"""Leases: one owner at a time, dead owners are replaced, nothing is deleted."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.dispatch import lease, slurm
from ablate.dispatch.lease import STALE_S, Lease, Owner, current
from tests import processes

HOLD = """
import sys
from pathlib import Path
from ablate.dispatch.lease import Lease
folder, start = Path(sys.argv[1]), sys.stdin.readline()
print("held" if Lease.acquire(folder, sys.argv[2]) else "rejected", flush=True)
sys.stdin.readline()
"""


def holder(folder: Path, worker: str) -> subprocess.Popen[str]:
    """Start a process that acquires the lease after one line of input, reports that, and ends after the next."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def proceed(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Lease]:
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    yield found
    found.release()


def put(folder: Path, owner: Owner | None, generation: int = 1, age_s: float = 0.0) -> Path:
    """Write the lease of another process; without an owner it is still being written."""
    path = folder / f"lease.{generation}"
    path.write_text(json.dumps(dataclasses.asdict(owner)) if owner else "")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def elsewhere() -> Owner:
    return Owner("other", "another-host", 1, "1")


def test_workers_of_this_machine_are_found(tmp_path: Path) -> None:
    held = Lease.acquire(tmp_path / "0123456789", "launch-0")
    ended = Lease.acquire(tmp_path / "0123456780", "launch-1")
    assert held is not None
    assert ended is not None
    ended.release()
    assert lease.working_here(tmp_path) == {"launch-0"}
    held.release()
    assert lease.working_here(tmp_path) == set()


def test_a_lease_is_exclusive(held: Lease, tmp_path: Path) -> None:
    assert Lease.acquire(tmp_path, "another") is None
    assert held.held()
    newest = current(tmp_path)
    assert newest is not None
    assert newest.alive
    assert newest.owner == Owner.current("me")


def test_a_folder_without_a_lease(tmp_path: Path) -> None:
    assert current(tmp_path) is None
    assert current(tmp_path / "nowhere") is None


def test_a_released_lease_is_followed_by_the_next_generation(tmp_path: Path) -> None:
    for generation in (1, 2, 3):
        found = Lease.acquire(tmp_path, "me")
        assert found is not None
        assert found.generation == generation
        found.release()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lease.1", "lease.2", "lease.3"]


def test_generations_are_compared_as_numbers(tmp_path: Path) -> None:
    for generation in (2, 9, 10):
        put(tmp_path, elsewhere(), generation, age_s=2 * STALE_S)
    (tmp_path / "lease.tmp").write_text("no generation")
    newest = current(tmp_path)
    assert newest is not None
    assert newest.generation == 10


def test_one_of_many_threads_gets_it(tmp_path: Path) -> None:
    barrier, got = threading.Barrier(8), []

    def try_it(number: int) -> None:
        barrier.wait()
        got.append(Lease.acquire(tmp_path, f"thread {number}"))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [found for found in got if found]
    assert len(winners) == 1
    winners[0].release()


@pytest.mark.parametrize("stale", [False, True])
def test_one_of_several_processes_gets_it_fresh_or_by_takeover(tmp_path: Path, stale: bool) -> None:
    if stale:
        put(tmp_path, elsewhere(), age_s=2 * STALE_S)
    processes = [holder(tmp_path, f"process {number}") for number in range(3)]
    try:
        for process in processes:
            proceed(process)
        assert sorted(answer(process) for process in processes) == ["held", "rejected", "rejected"]
    finally:
        for process in processes:
            process.communicate("\n", timeout=600)
    assert len(list(tmp_path.iterdir())) == 1 + stale


def test_the_lease_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    process = holder(tmp_path, "victim")
    proceed(process)
    assert answer(process) == "held"
    assert Lease.acquire(tmp_path, "me") is None
    process.kill()
    process.communicate(timeout=600)
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    assert found.generation == 2
    assert (tmp_path / "lease.1").exists(), "nothing is unlinked"
    found.release()


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    """A killed worker keeps its process id until its parent waits for it."""
    process = holder(tmp_path, "victim")
    proceed(process)
    assert answer(process) == "held"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    newest = current(tmp_path)
    assert newest is not None
    assert not newest.alive
    process.communicate(timeout=600)


def test_a_reused_process_id_is_not_the_old_process(tmp_path: Path) -> None:
    put(tmp_path, dataclasses.replace(Owner.current("before"), started="12345"))
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    found.release()


def test_only_the_heartbeat_counts_for_a_process_on_another_host(tmp_path: Path) -> None:
    put(tmp_path, elsewhere(), age_s=STALE_S / 2)
    assert Lease.acquire(tmp_path, "me") is None
    put(tmp_path, elsewhere(), age_s=STALE_S + 10)
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    found.release()


OTHER_SHAPE = json.dumps(dataclasses.asdict(Owner.current("w")) | {"pid": "../1"})


@pytest.mark.parametrize("text", ["", '{"worker": "a", "ho', "null", "[]", "7", '{"worker": "a"}', OTHER_SHAPE])
def test_a_lease_being_written_counts_as_alive_while_fresh(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lease.1"
    path.write_text(text)
    assert Lease.acquire(tmp_path, "me") is None
    then = time.time() - 2 * STALE_S
    os.utime(path, (then, then))
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    found.release()


def test_an_owner_sees_that_it_was_taken_over(held: Lease, tmp_path: Path) -> None:
    put(tmp_path, elsewhere(), generation=2)
    assert not held.held()


def test_releasing_after_a_takeover_does_not_end_the_new_lease(tmp_path: Path) -> None:
    old = Lease.acquire(tmp_path, "old")
    assert old is not None
    put(tmp_path, elsewhere(), generation=2)
    old.release()
    assert Lease.acquire(tmp_path, "third") is None


def test_the_heartbeat_keeps_it_fresh_until_it_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.01)
    before = threading.enumerate()
    found = Lease.acquire(tmp_path, "me")
    assert found is not None
    os.utime(found.path, (0, 0))
    processes.wait_for(lambda: found.path.stat().st_mtime > 0, "a heartbeat")
    found.release()
    assert threading.enumerate() == before, "no thread renews it after its release"


def test_two_acquirers_who_saw_the_same_dead_lease_do_not_both_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one must not create another generation."""
    put(tmp_path, elsewhere(), age_s=2 * STALE_S)
    seen = current(tmp_path)
    winner = Lease.acquire(tmp_path, "fast")
    assert winner is not None
    monkeypatch.setattr(lease, "current", lambda *_: seen)
    assert Lease.acquire(tmp_path, "slow") is None
    monkeypatch.undo()
    winner.release()


def test_this_process_is_local_and_alive() -> None:
    me = Owner.current("me")
    assert me.host == socket.gethostname()
    assert me.pid == os.getpid()
    assert me.is_local
    assert me.is_alive
    assert not elsewhere().is_local, "nothing is known of other hosts"


def test_a_container_of_the_same_name_is_not_local() -> None:
    twin = replace(Owner.current("twin"), machine="another namespace")
    assert twin.host == socket.gethostname()
    assert not twin.is_local


def test_a_live_local_process_keeps_its_lease_without_a_heartbeat(tmp_path: Path) -> None:
    put(tmp_path, Owner.current("me"), age_s=100 * STALE_S)
    held = current(tmp_path)
    assert held is not None
    assert held.alive


def test_the_age_of_a_lease_is_by_the_file_system_s_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is ahead must not take over a fresh lease."""
    put(tmp_path, elsewhere())
    ahead = time.time() + 10 * STALE_S
    monkeypatch.setattr(lease.time, "time", lambda: ahead)
    assert Lease.acquire(tmp_path, "hasty") is None
    assert not list(tmp_path.glob(".clock-*"))


@pytest.mark.parametrize(
    "forged",
    [{"pid": -1, "started": ""}, {"pid": 0, "started": ""}, {"started": ""}, {"pid": 2**40, "started": ""}],
    ids=str,
)
def test_a_lease_without_a_process_is_free(tmp_path: Path, forged: dict[str, Any]) -> None:
    """No process must receive a signal because of it."""
    put(tmp_path, replace(Owner.current("forger"), **forged))
    newest = current(tmp_path)
    assert newest is not None
    assert not newest.alive


@pytest.mark.parametrize("name", ["lease.²", "lease.٣", "lease.007", "lease.0", "lease.-1", "lease.1.2"])
def test_files_with_other_names_are_skipped(held: Lease, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    newest = current(tmp_path)
    assert newest is not None
    assert newest.generation == held.generation


def test_without_proc_a_signal_tests_the_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    assert lease._responds(os.getpid()) == "alive"
    process.wait(timeout=600)
    assert lease._responds(process.pid) == ""


def in_job(job: str = "77_0", restarts: int = 0) -> Owner:
    return replace(elsewhere(), job=job, restarts=restarts, user=os.getuid())


@pytest.mark.parametrize(
    ("jobs", "alive"),
    [
        ({"77_0": slurm.Job("77_0", "RUNNING")}, True),
        ({"77_0": slurm.Job("77_0", "COMPLETING")}, True),
        ({"77_0": slurm.Job("77_0", "SUSPENDED")}, True),
        ({"77_0": slurm.Job("77_0", "PENDING", 1)}, False),
        ({"77_0": slurm.Job("77_0", "RUNNING", 1)}, False),
        ({"77_1": slurm.Job("77_1", "RUNNING")}, False),
        ({}, False),
        (None, True),
    ],
    ids=["runs", "ends", "suspended", "requeued", "runs again", "is another", "has ended", "no answer"],
)
@pytest.mark.parametrize("age_s", [lease.QUIET_S + 1, 100 * STALE_S])
def test_a_remote_owner_with_a_late_heartbeat_is_alive_while_its_job_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: dict[str, slurm.Job] | None, alive: bool, age_s: float
) -> None:
    """However late it is: its file system may hang, and Slurm knows better."""
    monkeypatch.setattr(slurm, "installed", lambda: True)
    monkeypatch.setattr(slurm.QUEUE, "jobs", lambda **_: jobs)
    put(tmp_path, in_job(), age_s=age_s)
    held = current(tmp_path)
    assert held is not None
    assert held.alive is alive


@pytest.mark.parametrize(("state", "alive"), [("RUNNING\n", True), ("", False), (None, False)])
def test_the_job_of_another_user_is_alive_if_slurm_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str | None, alive: bool
) -> None:
    """A cluster may hide it, so that only the heartbeat counts."""
    queries: list[Any] = []
    monkeypatch.setattr(slurm, "installed", lambda: True)
    monkeypatch.setattr(slurm, "call", lambda words: queries.append(words) or state)
    monkeypatch.setattr(slurm, "QUEUE", slurm.Queue())
    put(tmp_path, replace(in_job(), user=-2), age_s=2 * STALE_S)
    for _ in range(3):
        held = current(tmp_path)
        assert held is not None
        assert held.alive is alive
    assert len(queries) == 1, "it is not asked each time"
    put(tmp_path, replace(in_job(), user=-2), age_s=STALE_S / 2)
    held = current(tmp_path)
    assert held is not None
    assert held.alive


def test_without_slurm_s_commands_only_the_heartbeat_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "installed", lambda: False)
    for age_s, alive in ((STALE_S - 10, True), (STALE_S + 10, False)):
        put(tmp_path, in_job(), age_s=age_s)
        held = current(tmp_path)
        assert held is not None
        assert held.alive is alive


@pytest.mark.parametrize(("owner", "age_s"), [(in_job(), 1.0), (elsewhere(), 20.0)])
def test_slurm_is_only_queried_for_jobs_with_a_late_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Owner, age_s: float
) -> None:
    monkeypatch.setattr(slurm.QUEUE, "jobs", lambda **_: pytest.fail("Slurm was queried"))
    put(tmp_path, owner, age_s=age_s)
    held = current(tmp_path)
    assert held is not None
    assert held.alive


def test_an_owner_in_a_job_has_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SLURM_ARRAY_JOB_ID", "77"), ("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_RESTART_COUNT", "2")):
        monkeypatch.setenv(name, value)
    owner = Owner.current("w")
    assert (owner.job, owner.restarts, owner.user) == ("77_3", 2, os.getuid())


def test_a_revoked_lease_is_free_and_its_owner_sees_it(held: Lease, tmp_path: Path) -> None:
    lease.revoke(tmp_path, "cancel")
    assert not held.held()
    newest = current(tmp_path)
    assert newest is not None
    assert (newest.generation, newest.alive) == (2, False)
    lease.revoke(tmp_path, "cancel")
    newest = current(tmp_path)
    assert newest is not None
    assert newest.generation == 2, "what is free needs no other generation"
    after = Lease.acquire(tmp_path, "next")
    assert after is not None
    after.release()


def test_a_revocation_without_a_lease_writes_nothing(tmp_path: Path) -> None:
    lease.revoke(tmp_path, "cancel")
    assert not list(tmp_path.iterdir())
