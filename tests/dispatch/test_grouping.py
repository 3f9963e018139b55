"""How many runs share a Slurm job: by records, probes, and what the user says; limits with a margin."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ablate.dispatch.grouping import group
from ablate.dispatch.probe import Probe, remembered
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import cache, records
from ablate.store.root import Root
from tests import synthetic
from tests.fake_slurm import FakeSlurm
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_slurm: FakeSlurm) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))


RUNS = [TINY.replace(seed=seed) for seed in range(7)]


def sizes(root: Root, runs: list[Run] = RUNS, **fields: Any) -> list[int]:
    return [len(keys) for keys in group(root, runs, Resources(**fields)).slices]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [1] * 7),
        ({"run_minutes": 3.0}, [3, 3, 1]),
        ({"run_minutes": 3.0, "minutes_per_job": 6.0}, [2, 2, 2, 1]),
        ({"run_minutes": 3.0, "minutes_per_job": 0.0}, [1] * 7),
        ({"run_minutes": 11.0}, [1] * 7),
        ({"run_minutes": 0.001}, [7]),
        ({"run_minutes": 3.0, "runs_per_job": 4}, [4, 3]),
        ({"runs_per_job": 7}, [7]),
        ({"run_minutes": 3.0, "minutes": 5}, [1] * 7),
        ({"run_minutes": 3.0, "minutes": 60}, [3, 3, 1]),
    ],
)
def test_the_runs_of_a_job(root: Root, fields: dict[str, Any], expected: list[int]) -> None:
    """As many as its minutes hold, and as its time limit holds with a margin."""
    found = group(root, RUNS, Resources(**fields))
    assert [len(keys) for keys in found.slices] == expected
    assert [key for keys in found.slices for key in keys] == [run.key for run in RUNS], "each once, in order"


def test_records_of_other_seeds_tell_how_long_a_run_takes(root: Root) -> None:
    for seed, seconds in ((10, 100.0), (11, 240.0), (12, 300.0)):
        records.write(root.results, synthetic.record(TINY.replace(seed=seed), cost={"total_s": seconds}))
    other = TINY.replace(epochs=100)
    found = group(root, [*RUNS, other], Resources())
    assert [len(keys) for keys in found.slices] == [2, 2, 2, 1, 1]
    assert found.minutes(found.slices[0]) == 8, "the median"
    assert found.minutes(found.slices[-1]) is None
    assert found.unknown == 1
    assert found.limit == 0, "the limit of the partition, because one run may take any time"
    assert "how long 1 run will take is not known" in found.sentences()[1]


def test_a_probe_is_remembered(root: Root) -> None:
    assert remembered(TINY) is None
    cache.write_note("probes", TINY.key, asdict(Probe(0.5, 600, "cpu")))
    assert remembered(RUNS[3]) == Probe(0.5, 600, "cpu")
    assert sizes(root) == [2, 2, 2, 1], "5 minutes each"
    assert sizes(root, gpus_per_run=2) == [4, 3], "two processes take half as long"


@pytest.mark.parametrize("note", [{}, {"step_s": "x", "steps": 1, "device": "cpu"}, {"step_s": 0.0, "steps": 1}])
def test_a_damaged_probe_is_none(root: Root, note: dict[str, Any]) -> None:
    cache.write_note("probes", TINY.key, note)
    assert sizes(root) == [1] * 7


def test_a_damaged_record_leaves_times_unknown(root: Root) -> None:
    path = records.write(root.results, synthetic.record(TINY.replace(seed=10), cost={"total_s": 60.0}))
    assert sizes(root) == [7]
    path.write_text("{")
    assert sizes(root) == [1] * 7


def test_the_limit_is_that_of_the_partition_at_most(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    assert group(root, RUNS, Resources(run_minutes=4.0)).limit == 17, "1.5 times 8 minutes, and 5 for the start"
    assert group(root, RUNS, Resources(run_minutes=4.0, minutes=60)).limit == 60, "as requested"
    monkeypatch.setattr("ablate.dispatch.slurm.most_minutes", {"short": 15, "long": None}.get)
    assert group(root, RUNS, Resources(run_minutes=4.0, partition="short")).limit == 15
    assert group(root, RUNS, Resources(run_minutes=4.0, partition="long")).limit == 17


def test_nothing_to_train(root: Root) -> None:
    found = group(root, [], Resources(run_minutes=4.0))
    assert (found.slices, found.limit, found.unknown) == ([], 0, 0)
