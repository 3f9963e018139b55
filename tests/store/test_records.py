"""Records: atomic and exact, with messages for damaged files and for files that are not records."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from ablate.spec.errors import SpecError
from ablate.store import records
from ablate.store.records import SCHEMA, Record
from ablate.store.root import Root
from tests.tiny import TINY, record_of


@pytest.fixture
def written(root: Root) -> Path:
    return records.write(root.results, record_of(TINY))


def rewrite(path: Path, **changes: Any) -> None:
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))


def test_a_record_is_equal_after_a_round_trip(written: Path) -> None:
    assert records.read(written) == record_of(TINY)


def test_a_trained_record_is_bit_equal_after_a_round_trip(root: Root, trained: Record) -> None:
    assert records.read(records.write(root.results, trained)) == trained


def test_a_record_is_the_only_file_and_named_after_its_run(root: Root, written: Path) -> None:
    assert written == records.path_of(root.results, TINY) == root.results / TINY.dataset / f"{TINY.key}.json"
    assert [path for path in root.results.rglob("*") if path.is_file()] == [written]
    assert written.read_bytes().endswith(b"}\n")


def test_the_first_record_of_a_run_stays(root: Root, written: Path) -> None:
    records.write(root.results, record_of(TINY, top1=99.0))
    assert records.read(written).metrics["top1"] == 50.0


def test_a_failed_write_leaves_no_record(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        records.write(root.results, record_of(TINY))
    assert not [path for path in root.results.rglob("*") if path.is_file()]
    assert records.read_all(root.results) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot read the record"),
        (b'{"schema": 1, "key"', "cannot read the record .*; restore it, or move it away to train the run again"),
        (b"[1, 2]", "is not the record of a run: it has no schema number"),
        (b'{"key": "a"}', "is not the record of a run: it has no schema number; move it out of the results folder"),
        (b'{"schema": "1"}', "has no schema number"),
        (b'{"schema": 1, "key": "a"}', "lacks run, metrics, history, complexity, dataset, cost, provenance"),
    ],
)
def test_a_file_that_is_not_a_record_is_refused(written: Path, content: bytes, sentence: str) -> None:
    written.write_bytes(content)
    with pytest.raises(SpecError, match=sentence) as error:
        records.read(written)
    assert str(written) in str(error.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the record"):
        records.read(tmp_path / "gone.json")


def test_a_newer_schema_is_refused(written: Path) -> None:
    rewrite(written, schema=SCHEMA + 1)
    with pytest.raises(
        SpecError, match=rf"must be at most {SCHEMA} for this version of ablate, got {SCHEMA + 1}; upgrade"
    ):
        records.read(written)


def test_unknown_fields_of_a_record_are_ignored(written: Path) -> None:
    rewrite(written, remark="from a later version of this schema")
    assert records.read(written) == record_of(TINY)


def test_a_copy_under_another_name_is_no_record(written: Path, root: Root) -> None:
    written.with_name("copy.json").write_bytes(written.read_bytes())
    assert [record.key for record in records.read_all(root.results)] == [TINY.key]


def test_the_record_of_another_run_is_refused(written: Path) -> None:
    other = written.with_name("0123456789.json")
    other.write_bytes(written.read_bytes())
    with pytest.raises(SpecError, match=rf"0123456789\.json is the record of run {TINY.key} under another name"):
        records.read(other)


@pytest.mark.parametrize(
    ("part", "name", "value", "told"),
    [
        ("metrics", "top5", "x", 'metrics.top5 must be a finite number, got "x"'),
        ("metrics", "ema_top1", [], r"metrics.ema_top1 must be a finite number, got \[\]"),
        ("metrics", "top1", True, "lacks metrics.top1"),
        ("complexity", "tokens", 1.5, "complexity.tokens must be an integer, got 1.5"),
        ("cost", "peak_memory_mib", {}, "cost.peak_memory_mib must be a finite number"),
        ("dataset", "classes", 10, "dataset.classes must be a list, got 10"),
        ("dataset", "broken", {"count": "two"}, "dataset.broken must have a count and names"),
        ("provenance", "commit", 7, "provenance.commit must be text, got 7"),
        ("history", 0, 7, "history must have an object with an epoch for each epoch"),
        ("history", 0, {"epoch": "one"}, "history must have an object with an epoch for each epoch"),
    ],
)
def test_a_value_of_another_type_is_refused(written: Path, part: str, name: str | int, value: Any, told: str) -> None:
    content = orjson.loads(written.read_bytes())
    content[part][name] = value
    written.write_bytes(orjson.dumps(content))
    with pytest.raises(SpecError, match=told):
        records.read(written)


def test_a_pipe_is_refused_and_not_opened(root: Root) -> None:
    path = root.results / "0123456789.json"
    os.mkfifo(path)
    with pytest.raises(SpecError, match="it is not a regular file"):
        records.read(path)


def test_a_file_larger_than_any_record_is_refused_unread(written: Path) -> None:
    os.truncate(written, records.LARGEST + 1)
    with pytest.raises(SpecError, match="it has 67,108,865 bytes, more than any record"):
        records.read(written)


def test_records_are_found_at_any_depth_and_in_order(root: Root) -> None:
    runs = [TINY.replace(seed=seed, dataset=name) for name in ("b_data", "a_data") for seed in (0, 1)]
    for run in runs:
        records.write(root.results, record_of(run))
    for name in (".hidden.json", "notes.txt", "speed/s.json"):
        path = root.results / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no record")
    found = records.index(root.results)
    assert set(found) == {run.key for run in runs}
    assert list(found.values()) == sorted(found.values())
    assert {record.key for record in records.read_all(root.results)} == set(found)


def test_no_folder_no_records(tmp_path: Path) -> None:
    assert records.index(tmp_path / "nowhere") == {}
    assert records.read_all(tmp_path / "nowhere") == []


def test_a_record_answers_its_run_and_its_data_only() -> None:
    record = record_of(TINY, fingerprint="this data")
    assert record.answers(TINY)
    assert record.answers(TINY, "this data")
    assert not record.answers(TINY, "other data")
    assert not record.answers(TINY.replace(seed=1))


def test_a_record_from_before_a_raised_behaviour_number_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields are the same and the key is not: the code that trained it has changed."""
    record = record_of(TINY)
    monkeypatch.setattr("ablate.spec.run.behaviours", lambda _: {"train.py": 2})
    assert record.as_run() == TINY
    assert not record.answers(TINY.replace())


def test_a_record_older_than_a_field_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    later = {"smoothing": TINY.smoothing}
    monkeypatch.setattr("ablate.spec.run.ADDED_LATER", later)
    monkeypatch.setattr(records, "ADDED_LATER", later)
    now = TINY.replace()
    old = {name: value for name, value in now.to_dict().items() if name != "smoothing"}
    record = dataclasses.replace(record_of(now), run=old)
    assert record.answers(now)
    assert not record.answers(now.replace(smoothing=0.3))


def test_a_record_set_aside_is_kept_but_no_longer_a_record(root: Root, written: Path) -> None:
    content = written.read_bytes()
    records.set_aside(written)
    assert records.index(root.results) == {}
    assert [path.read_bytes() for path in written.parent.iterdir()] == [content]
    records.write(root.results, record_of(TINY, fingerprint="0" * 16))
    assert records.read(written).dataset["fingerprint"] == "0" * 16


def test_no_record_that_was_set_aside_is_replaced(root: Root) -> None:
    for top1 in (50.0, 60.0):
        records.set_aside(records.write(root.results, record_of(TINY, "a" * 16, top1=top1)))
    kept = sorted((root.results / TINY.dataset).iterdir())
    assert [path.name for path in kept] == [f"{TINY.key}.aaaaaaaa-2.superseded", f"{TINY.key}.aaaaaaaa.superseded"]
    assert [orjson.loads(path.read_bytes())["metrics"]["top1"] for path in kept] == [60.0, 50.0]


def test_a_fingerprint_cannot_change_the_folder(root: Root) -> None:
    path = records.write(root.results, record_of(TINY, fingerprint="/../../x"))
    records.set_aside(path)
    assert [one.name for one in path.parent.iterdir()] == [f"{TINY.key}._______x.superseded"]


def test_a_record_is_complete(trained: Record) -> None:
    """A trained run has all fields that the docstring of the module lists."""
    assert trained.schema == SCHEMA
    assert trained.key == TINY.key
    assert trained.as_run() == TINY
    held_out = {"heldout_top1", "heldout_loss", "best_epoch", "best_heldout_top1"}
    assert {"top1", "top5", "loss", "n", "correct", *held_out} == set(trained.metrics)
    assert {"params", "macs", "tokens"} <= set(trained.complexity)
    assert {"fingerprint", "classes", "channels", "n_train", "n_heldout", "n_test"} <= set(trained.dataset)
    assert {"training_s", "images_per_s", "total_s", "peak_memory_mib"} <= set(trained.cost)
    assert {"commit", "versions", "device", "resources"} <= set(trained.provenance)


def test_an_unchanged_record_is_intact(written: Path, root: Root, trained: Record) -> None:
    assert records.intact(records.read(written)) is True
    assert records.intact(records.read(records.write(root.results / "other", trained))) is True
    written.write_bytes(orjson.dumps(dict(reversed(orjson.loads(written.read_bytes()).items()))))
    assert records.intact(records.read(written)) is True, "the layout of the file is not part of the content"


@pytest.mark.parametrize("part", ["metrics", "history", "run", "cost", "provenance"])
def test_a_record_that_was_edited_is_read_but_not_intact(written: Path, part: str) -> None:
    content = orjson.loads(written.read_bytes())
    if part == "history":
        content[part].pop()
    else:
        content[part]["lr"] = 0.5
    written.write_bytes(orjson.dumps(content))
    assert records.intact(records.read(written)) is False


def test_a_record_older_than_checksums_is_not_checked(written: Path) -> None:
    content = orjson.loads(written.read_bytes())
    del content["checksum"]
    written.write_bytes(orjson.dumps(content))
    assert records.intact(records.read(written)) is None


@pytest.mark.parametrize("layout", [orjson.OPT_INDENT_2, None])
@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_record_read_without_its_history_is_otherwise_equal(written: Path, layout: int | None, epochs: int) -> None:
    content = orjson.loads(written.read_bytes())
    content["run"]["mixer"] = 'none\n  "history": [\n'
    content["history"] = [{"epoch": 1, "a": ["\n  ],\n"]}] * epochs
    written.write_bytes(orjson.dumps(content, option=layout))
    found = records.read(written, history=False)
    assert dataclasses.replace(found, history=content["history"]) == records.read(written)
    assert found.history == ([] if layout else content["history"])
