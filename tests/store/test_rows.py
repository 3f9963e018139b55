"""Cached rows: equal to fresh ones, never outdated, and optional."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pandas as pd
import pytest

from ablate import frame
from ablate.spec.settings import cache_folder
from ablate.store import records, rows
from ablate.store.listing import listing
from ablate.store.root import Root
from tests.tiny import TINY, record_of


@pytest.fixture(autouse=True)
def _settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache rows of files just written too, so that tests need not wait."""
    monkeypatch.setattr(rows, "SETTLED_NS", 0)


@pytest.fixture
def written(root: Root) -> Root:
    """Write three records, of which the second has additional metrics."""
    for seed, extra in enumerate([{}, {"ema_top1": 71.5, "ema_correct": "8A=="}, {}]):
        records.write(root.results, record_of(TINY.replace(seed=seed), top1=70.0 + seed / 3, **extra))
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of records that are read from now on."""
    found: list[Path] = []
    read = records.read

    def counted(path: Path, *, history: bool = True) -> records.Record:
        found.append(path)
        return read(path, history=history)

    monkeypatch.setattr(records, "read", counted)
    return found


def path_of(root: Root, seed: int) -> Path:
    return records.path_of(root.results, TINY.replace(seed=seed))


def test_a_record_is_read_once(written: Root, reads: list[Path]) -> None:
    cold = rows.columns(written.results)
    assert len(reads) == 3
    assert rows.columns(written.results) == cold
    assert list(rows.columns(written.results)) == list(cold)
    assert len(reads) == 3
    pd.testing.assert_frame_equal(frame(root=written.path), pd.DataFrame(cold))


def test_values_that_a_record_lacks_are_missing(written: Root) -> None:
    found = rows.columns(written.results)
    by_seed = dict(zip(found["seed"], found["ema_top1"], strict=True))
    assert by_seed == {0: None, 1: 71.5, 2: None}
    assert {len(column) for column in found.values()} == {3}
    assert not {"correct", "ema_correct", "history"} & set(found)


def test_columns_are_sorted(written: Root) -> None:
    names = list(rows.columns(written.results))
    fields = list(TINY.to_dict())
    assert names[: len(fields) + 3] == ["key", *fields, "top1", "top5"]


def edit(path: Path) -> None:
    """Write another accuracy with as many digits, and restore the time of the file."""
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b"70.0", b"99.0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size


def replace(path: Path) -> None:
    """Replace the file by another one of the same size and time."""
    other = path.with_name(".other")
    shutil.copy2(path, other)
    edit(other)
    os.replace(other, path)


@pytest.mark.parametrize("change", [edit, replace])
def test_a_changed_record_is_read_again(written: Root, reads: list[Path], change: Callable[[Path], None]) -> None:
    rows.columns(written.results)
    path = path_of(written, 0)
    change(path)
    del reads[:]
    assert max(rows.columns(written.results)["top1"]) == 99.0
    assert reads == [path], "the others are unchanged"


def test_a_file_just_written_is_not_cached(written: Root, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit within one tick of the file system's clock may leave all times unchanged."""
    monkeypatch.setattr(rows, "SETTLED_NS", 60 * 10**9)
    old = path_of(written, 0)
    os.utime(old, (1, 1))
    rows.columns(written.results)
    del reads[:]
    rows.columns(written.results)
    assert len(reads) == 3, "its status has just changed, whatever its modification time"


def test_records_may_be_added_and_removed(written: Root, reads: list[Path]) -> None:
    rows.columns(written.results)
    path_of(written, 1).unlink()
    records.write(written.results, record_of(TINY.replace(seed=9), top1=55.0))
    del reads[:]
    found = rows.columns(written.results)
    assert sorted(found["seed"]) == [0, 2, 9]
    assert dict(zip(found["seed"], found["top1"], strict=True))[9] == 55.0
    assert len(reads) == 1


def test_a_record_removed_during_the_listing_is_ignored(written: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = listing(written.results)
    monkeypatch.setattr(rows, "listing", lambda _: listed)
    path_of(written, 1).unlink()
    assert sorted(rows.columns(written.results)["seed"]) == [0, 2]


def test_the_cache_may_be_deleted_at_any_time(written: Root) -> None:
    found = rows.columns(written.results)
    shutil.rmtree(cache_folder())
    assert rows.columns(written.results) == found


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"stamps": 3, "columns": {}}', b'{"stamps": {"a": [1]}, "columns": {"key": []}}'],
)
def test_a_damaged_cache_is_ignored(written: Root, content: bytes) -> None:
    found = rows.columns(written.results)
    for kept in (cache_folder() / rows.KIND).glob("*.json"):
        kept.write_bytes(content)
    assert rows.columns(written.results) == found


def test_a_cache_that_cannot_be_written_only_costs_time(written: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = written.path / "a file"
    blocked.touch()
    monkeypatch.setenv("ABLATE_CACHE", str(blocked))
    assert rows.columns(written.results) == rows.columns(written.results)


def test_a_change_of_the_source_creates_rows_again(
    written: Root, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.columns(written.results)
    monkeypatch.setattr(rows, "_sources", lambda: "a later version")
    del reads[:]
    rows.columns(written.results)
    assert len(reads) == 3


def test_a_record_damaged_after_caching_has_no_row_and_is_named(written: Root) -> None:
    rows.columns(written.results)
    path_of(written, 0).write_bytes(b"{")
    for _ in ("fresh", "cached"):
        found = rows.read(written.results)
        assert sorted(found.columns["seed"]) == [1, 2]
        assert f"cannot read the record {path_of(written, 0)}" in found.damage[TINY.key]


def test_an_edited_record_keeps_its_row_and_is_named(written: Root) -> None:
    edit(path_of(written, 0))
    for _ in ("fresh", "cached"):
        found = rows.read(written.results)
        assert max(found.columns["top1"]) == 99.0
        assert list(found.damage) == [TINY.key]
        assert "was edited or damaged: it does not match its checksum; restore it" in found.damage[TINY.key]
    marks = dict(zip(found.columns["key"], rows.columns(written.results)["damage"], strict=True))
    assert [key for key, mark in marks.items() if mark] == [TINY.key]


@pytest.mark.parametrize(("old", "new"), [(b'"seed": 0', b'"seed": 9'), (b'"depth": 2', b'"depth": "x"')])
def test_a_record_whose_run_was_edited_has_no_row_and_is_named(written: Root, old: bytes, new: bytes) -> None:
    path = path_of(written, 0)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    found = rows.read(written.results)
    assert sorted(found.columns["seed"]) == [1, 2]
    assert list(found.damage) == [TINY.key]


def test_the_same_record_twice_counts_once(written: Root) -> None:
    twin = written.results / "z" / path_of(written, 0).name
    twin.parent.mkdir()
    shutil.copy(path_of(written, 0), twin)
    found = rows.read(written.results)
    assert sorted(found.columns["seed"]) == [0, 1, 2]
    assert not found.damage
    assert f"{twin} (beside {path_of(written, 0)})" in found.note


def test_of_two_records_the_whole_one_counts(written: Root) -> None:
    twin = written.results / "z" / path_of(written, 0).name
    twin.parent.mkdir()
    shutil.copy(path_of(written, 0), twin)
    edit(path_of(written, 0))
    found = rows.read(written.results)
    assert max(found.columns["top1"]) < 99.0
    assert found.paths[TINY.key] == str(twin)
    assert not found.damage


def test_of_two_whole_records_that_differ_none_counts(written: Root) -> None:
    records.write(written.results / "z", record_of(TINY, top1=12.5))
    found = rows.read(written.results)
    assert sorted(found.columns["seed"]) == [1, 2]
    assert found.damage[TINY.key].startswith(f"run {TINY.key} has several records, ")


def test_a_cache_with_another_digit_is_named_and_made_anew(
    written: Root, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(written.path / "cache"))
    found = rows.columns(written.results)
    (kept,) = (cache_folder() / rows.KIND).glob("*.json")
    whole = kept.read_bytes()
    for at in range(0, len(whole), len(whole) // 40):
        caplog.clear()
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert rows.columns(written.results) == found
        assert f"the cache {kept} is damaged" in caplog.text
        assert kept.read_bytes() == whole


def test_a_cached_row_equals_that_of_its_record(written: Root, trained: records.Record) -> None:
    """The row of a trained record is equal whether computed or read from the cache."""
    records.write(
        written.results, dataclasses.replace(trained, key=TINY.replace(seed=7).key, run=TINY.replace(seed=7).to_dict())
    )
    found = rows.columns(written.results)
    position = found["seed"].index(7)
    kept = {name: column[position] for name, column in found.items() if column[position] is not None}
    row = rows.row(records.read(path_of(written, 7)))
    assert kept == orjson.loads(orjson.dumps({name: value for name, value in row.items() if value is not None}))


def test_no_folder_no_columns(tmp_path: Path) -> None:
    assert rows.columns(tmp_path / "nowhere") == {}
