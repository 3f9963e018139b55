"""Results of two roots: the same, new, conflicting and damaged ones are told apart."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.store import records
from ablate.store.root import Root
from tests.measure.fake import measurement
from tests.synthetic import fixture_study
from tests.tiny import TINY, record_of

SAME, NEW, CONFLICTING, DAMAGED = (TINY.replace(seed=seed) for seed in range(4))


@pytest.fixture
def other(root: Root, tmp_path: Path) -> Root:
    """Return another root, whose four records have each another relation to those of the first."""
    other = Root.at(tmp_path / "other")
    for run in (SAME, NEW, CONFLICTING, DAMAGED):
        records.write(other.results, record_of(run))
    records.write(root.results, record_of(SAME))
    records.write(root.results, record_of(CONFLICTING, top1=12.5))
    edit(records.path_of(other.results, DAMAGED))
    return other


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"top1": 50.0', b'"top1": 99.0'))


def merge(root: Root, other: Root | Path, *words: str) -> Result:
    path = other.path if isinstance(other, Root) else other
    return CliRunner().invoke(app, ["merge", str(path), "--root", str(root.path), *words])


def top1(root: Root) -> dict[int, float]:
    found = records.read_all(root.results)
    return {record.run["seed"]: record.metrics["top1"] for record in found}


def kinds(result: Result) -> dict[str, str]:
    return {Path(one["source"]).stem: one["kind"] for one in orjson.loads(result.stdout)["files"]}


@pytest.mark.parametrize("as_root", [True, False])
def test_new_results_are_copied_and_the_others_told_apart(root: Root, other: Root, as_root: bool) -> None:
    result = merge(root, other if as_root else other.results)
    assert result.exit_code == 1
    assert result.output.startswith("1 new, 1 same, 1 conflicting, 1 damaged\n")
    assert "they differ in metrics; top-1 there 50.0, here 12.5" in result.output
    assert "does not match its checksum" in result.output
    assert top1(root) == {0: 50.0, 1: 50.0, 2: 12.5}
    assert merge(root, other).output.startswith("0 new, 2 same, 1 conflicting, 1 damaged\n")


def test_the_dry_run_copies_nothing(root: Root, other: Root) -> None:
    result = merge(root, other, "--dry-run", "--json")
    assert kinds(result) == {
        SAME.key: "same",
        NEW.key: "new",
        CONFLICTING.key: "conflicting",
        DAMAGED.key: "damaged",
    }
    assert orjson.loads(result.stdout)["copied"] is False
    assert top1(root) == {0: 50.0, 2: 12.5}


def test_conflicting_ones_are_replaced_on_request_and_kept(root: Root, other: Root) -> None:
    before = records.path_of(root.results, CONFLICTING).read_bytes()
    result = merge(root, other, "--force")
    assert result.exit_code == 1, "one is damaged"
    assert top1(root) == {0: 50.0, 1: 50.0, 2: 50.0}
    (kept,) = root.results.rglob("*.replaced")
    assert kept.read_bytes() == before


def test_a_damaged_record_here_is_conflicting(root: Root, other: Root) -> None:
    path = records.path_of(root.results, SAME)
    edit(path)
    assert kinds(merge(root, other, "--dry-run", "--json"))[SAME.key] == "conflicting"
    merge(root, other, "--force")
    assert records.intact(records.read(path))


def test_weights_are_copied_on_request_and_never_replaced(root: Root, other: Root) -> None:
    for run in (SAME, NEW, DAMAGED):
        other.run_folder(run.key).mkdir(parents=True)
        (other.run_folder(run.key) / "weights.pt").write_bytes(b"theirs")
    root.run_folder(SAME.key).mkdir(parents=True)
    (root.run_folder(SAME.key) / "weights.pt").write_bytes(b"ours")
    merge(root, other)
    assert not root.run_folder(NEW.key).exists()
    merge(root, other, "--weights")
    assert {path.parent.name: path.read_bytes() for path in root.runs.rglob("weights.pt")} == {
        SAME.key: b"ours",
        NEW.key: b"theirs",
    }


def test_speed_measurements_are_merged_too(root: Root, other: Root) -> None:
    subjects = of_study(fixture_study(), "digits")
    for place, subject, rate in (
        (root, 0, 100.0),
        (other, 0, 100.0),
        (other, 1, 100.0),
        (root, 2, 90.0),
        (other, 2, 99.0),
    ):
        speed_record.write(place.results / "speed" / "a-cpu", measurement(subjects[subject], [rate, rate + 1]))
    assert merge(root, other).output.startswith("2 new, 2 same, 2 conflicting, 1 damaged\n")
    assert len(list(speed_record.read_all(root.results))) == 3


def test_a_copied_record_is_the_same_file(root: Root, other: Root) -> None:
    merge(root, other)
    paths = [records.path_of(place.results, NEW) for place in (root, other)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_this_root_and_no_folder_are_refused(root: Root, tmp_path: Path) -> None:
    for path, told in ((root.path, "must be another root"), (tmp_path / "none", "which is no folder")):
        result = merge(root, path)
        assert result.exit_code == 2
        assert told in result.output
