"""Queries to Slurm, against the output of its commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ablate.dispatch import slurm
from ablate.dispatch.slurm import Job, Queue
from ablate.spec import sbatch


def answer(monkeypatch: pytest.MonkeyPatch, text: str | None) -> list[Sequence[str]]:
    """Let every command print a text, or fail for None; the list collects the commands."""
    calls: list[Sequence[str]] = []

    def call(words: Sequence[str]) -> str | None:
        calls.append(words)
        return text

    monkeypatch.setattr(slurm, "call", call)
    return calls


QUEUE = """\
56527012            |RUNNING             |0                   |None                |node1               |
56527013_7          |PENDING             |2                   |Resources           |                    |
slurm_load_jobs error: a line of another kind
"""


def test_the_queue_lists_jobs_and_array_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, QUEUE)
    found = Queue().jobs()
    assert found == {
        "56527012": Job("56527012", "RUNNING", 0, "None", "node1"),
        "56527013_7": Job("56527013_7", "PENDING", 2, "Resources", ""),
    }
    assert [job.live for job in found.values()] == [True, True]
    assert [job.running for job in found.values()] == [True, False]


def test_the_queue_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answer(monkeypatch, QUEUE)
    queue = Queue()
    for _ in range(3):
        queue.jobs()
    assert len(calls) == 1
    queue.jobs(newer_than_s=0.0)
    assert len(calls) == 2


def test_no_answer_is_not_an_empty_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, None)
    assert Queue().jobs() is None


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo RUNNING", "RUNNING"),
        ("exit 0", ""),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", ""),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", None),
    ],
)
def test_the_state_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str | None) -> None:
    """That Slurm does not know a job is an answer; that the controller is down is none."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert slurm.state("7_1") == expected


def test_a_missing_command_gives_no_answer() -> None:
    assert slurm.call(["no-such-command-of-slurm"]) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-00:00:10\n", 86410.0), ("2:03:04\n", 7384.0), ("0:58\n", 58.0), ("UNLIMITED\n", None), ("INVALID", None)],
)
def test_the_time_left(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float | None) -> None:
    answer(monkeypatch, text)
    assert slurm.seconds_left("1") == seconds


def test_how_jobs_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "7_0|FAILED|9:0\n7_1|CANCELLED by 0|0:0\n")
    assert slurm.ended({"7_0", "7_1"}) == {"7_0": "FAILED, exit code 9:0", "7_1": "CANCELLED by 0"}
    assert slurm.ended(set()) == {}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("MaxArraySize            = 6\n", 6),
        ("MaxArraySize = 0\n", 1),
        ("nothing", 1001),
        (None, 1001),
        ("MaxArraySize = 9\nSchedulerParameters     = bf_continue,max_array_tasks=4,x\n", 4),
    ],
)
def test_the_longest_array(monkeypatch: pytest.MonkeyPatch, text: str | None, size: int) -> None:
    answer(monkeypatch, text)
    assert slurm.max_array_size() == size


PARTITIONS = """\
PartitionName=a AllowGroups=ALL Default=NO MaxTime=2-01:30:00 State=UP
PartitionName=b AllowGroups=ALL Default=YES MaxTime=01:00:00 State=UP
"""


@pytest.mark.parametrize(
    ("text", "partition", "minutes"),
    [
        (PARTITIONS, "", 60),
        (PARTITIONS.splitlines()[0], "a", 2970),
        ("PartitionName=c Default=YES MaxTime=UNLIMITED", "", None),
        ("", "d", None),
        (None, "", None),
    ],
)
def test_the_longest_limit_of_a_partition(
    monkeypatch: pytest.MonkeyPatch, text: str | None, partition: str, minutes: int | None
) -> None:
    answer(monkeypatch, text)
    assert slurm.most_minutes(partition) == minutes


def test_the_environment_of_an_allocation_is_removed() -> None:
    before = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_CPU_BIND": "mask_cpu:0x1",
        "SLURM_JOB_ID": "1",
        "SBATCH_PARTITION": "short",
        "PMI_RANK": "0",
    }
    assert slurm.scrubbed(before) == {"PATH": "/bin", "SLURM_CONF": "/etc/slurm.conf"}


def test_no_sbatch_option_is_both_set_by_ablate_and_free() -> None:
    assert not sbatch.OWN.keys() & set(sbatch.OPTIONS)
    assert sorted(sbatch.OPTIONS) == sorted(set(sbatch.OPTIONS))
