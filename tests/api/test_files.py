"""Datasets, merging and cleaning from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import ablate
from ablate.dispatch import worker
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.root import Root
from tests.tiny import TINY, image_folder, record_of


def test_datasets_are_listed_and_described(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "colours", {"a": 2, "b": 2}, {"a": 9, "b": 9})
    listed = ablate.datasets({"images": folder}).set_index("name")
    assert listed.loc["images", "path"] == str(folder)
    assert not listed.loc["digits", "needs_path"]
    found = ablate.dataset("images", folder)
    assert (found["classes"], found["train"], found["test"]) == (["a", "b"], 4, 18)
    with pytest.raises(ablate.SpecError, match="unknown dataset"):
        ablate.dataset("imagse")


def test_a_merge_tells_new_from_same(root: Root, tmp_path: Path) -> None:
    other = Root.at(tmp_path / "other")
    for run in (TINY, TINY.replace(seed=1)):
        records.write(other.results, record_of(run))
    records.write(root.results, record_of(TINY))
    for dry_run in (True, False):
        found = ablate.merge(other.path, dry_run=dry_run, root=root.path)
        assert sorted(found["kind"]) == ["new", "same"]
        assert bool(found["copied"].any()) is not dry_run
    assert len(records.read_all(root.results)) == 2


def test_clean_lists_and_deletes_on_request(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    worker.request(root, TINY, Resources())
    folder = root.run_folder(TINY.key)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "0001-000000001.pt").write_bytes(bytes(1000))
    listed = ablate.clean(root=root.path)
    assert str(folder) in list(map(str, listed["path"]))
    assert folder.exists()
    deleted = ablate.clean(delete=True, root=root.path)
    assert deleted["deleted"].all()
    assert not folder.exists()
