"""What is asked of Slurm, against what its commands print."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ablate.dispatch import slurm
from ablate.dispatch.slurm import Job, Queue
from ablate.spec import sbatch


def says(monkeypatch: pytest.MonkeyPatch, text: str | None) -> list[Sequence[str]]:
    """Every command prints this; None: it fails. The list fills with the commands."""
    asked: list[Sequence[str]] = []

    def call(words: Sequence[str]) -> str | None:
        asked.append(words)
        return text

    monkeypatch.setattr(slurm, "call", call)
    return asked


QUEUE = """\
56527012            |RUNNING             |0                   |None                |node1               |
56527013_7          |PENDING             |2                   |Resources           |                    |
slurm_load_jobs error: a line of another kind
"""


def test_the_queue_lists_jobs_and_array_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, QUEUE)
    found = Queue().jobs()
    assert found == {
        "56527012": Job("56527012", "RUNNING", 0, "None", "node1"),
        "56527013_7": Job("56527013_7", "PENDING", 2, "Resources", ""),
    }
    assert [job.live for job in found.values()] == [True, True]
    assert [job.running for job in found.values()] == [True, False]


def test_the_queue_is_not_asked_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = says(monkeypatch, QUEUE)
    queue = Queue()
    for _ in range(3):
        queue.jobs()
    assert len(asked) == 1
    queue.jobs(newer_than_s=0.0)
    assert len(asked) == 2


def test_silence_is_not_an_empty_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, None)
    assert Queue().jobs() is None


def test_a_missing_command_is_silence() -> None:
    assert slurm.call(["no-such-command-of-slurm"]) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-00:00:10\n", 86410.0), ("2:03:04\n", 7384.0), ("0:58\n", 58.0), ("UNLIMITED\n", None), ("INVALID", None)],
)
def test_the_time_left(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float | None) -> None:
    says(monkeypatch, text)
    assert slurm.seconds_left("1") == seconds


def test_how_jobs_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, "7_0|FAILED|9:0\n7_1|CANCELLED by 0|0:0\n")
    assert slurm.ended({"7_0", "7_1"}) == {"7_0": "FAILED, exit code 9:0", "7_1": "CANCELLED by 0"}
    assert slurm.ended(set()) == {}


@pytest.mark.parametrize(
    ("text", "size"), [("MaxArraySize            = 6\n", 6), ("MaxArraySize = 0\n", 1), ("nothing", 1001), (None, 1001)]
)
def test_the_longest_array(monkeypatch: pytest.MonkeyPatch, text: str | None, size: int) -> None:
    says(monkeypatch, text)
    assert slurm.max_array_size() == size


def test_the_environment_of_an_allocation_is_left_behind() -> None:
    before = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_CPU_BIND": "mask_cpu:0x1",
        "SLURM_JOB_ID": "1",
        "SBATCH_PARTITION": "short",
        "PMI_RANK": "0",
    }
    assert slurm.scrubbed(before) == {"PATH": "/bin", "SLURM_CONF": "/etc/slurm.conf"}


def test_no_option_is_both_one_of_ablate_s_and_free() -> None:
    assert not sbatch.OWN.keys() & set(sbatch.OPTIONS)
    assert sorted(sbatch.OPTIONS) == sorted(set(sbatch.OPTIONS))
