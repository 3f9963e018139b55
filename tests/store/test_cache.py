"""The cache: entries are created once, completely or not at all."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ablate.spec.settings import cache_folder
from ablate.store import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))


def write(folder: Path) -> None:
    (folder / "made").write_text("once")


def refuse(folder: Path) -> None:
    raise AssertionError("it already exists")


def test_a_folder_is_made_once() -> None:
    first = cache.folder("things", "key", write)
    assert (first / "made").read_text() == "once"
    assert cache.folder("things", "key", refuse) == first == cache_folder() / "things" / "key"


def test_a_failure_leaves_nothing_behind() -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cache.folder("things", "key", fail)
    assert [path.name for path in (cache_folder() / "things").iterdir()] == ["key.lock"]
    assert (cache.folder("things", "key", write) / "made").exists()


def test_when_two_processes_create_the_same_folder_the_first_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without locks."""

    def lose_the_race(folder: Path) -> None:
        other = cache_folder() / "things" / "key"
        other.mkdir()
        (other / "made").write_text("by another")
        write(folder)

    assert (cache.folder("things", "key", lose_the_race) / "made").read_text() == "by another"
    assert sorted(path.name for path in (cache_folder() / "things").iterdir()) == ["key", "key.lock"]


@pytest.mark.parametrize("damaged", ["made", "checksums.json"])
def test_a_damaged_folder_is_named_and_made_again(damaged: str, caplog: pytest.LogCaptureFixture) -> None:
    where = cache.folder("things", "key", write)
    (where / damaged).write_text("changed")
    assert (cache.folder("things", "key", write) / "made").read_text() == "once"
    assert str(where) in caplog.text
    assert "this part of the cache is made again" in caplog.text
    assert sorted(path.name for path in where.parent.iterdir()) == ["key", "key.lock"]
    assert cache.folder("things", "key", refuse) == where


def append(folder: Path) -> None:
    with open(folder.parent / "calls", "a") as file:
        file.write("x")


def request(_: int) -> None:
    cache.folder("things", "key", append)


def test_processes_wait_for_the_one_that_creates_a_folder() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(request, range(4), chunksize=1)
    assert (cache_folder() / "things" / "calls").read_text() == "x"


def test_a_damaged_note_is_ignored() -> None:
    assert cache.read_note("facts", "key") is None
    cache.write_note("facts", "key", {"classes": ["a"]})
    assert cache.read_note("facts", "key") == {"classes": ["a"]}
    for text in ("{", "[]"):
        (cache_folder() / "facts" / "key.json").write_text(text)
        assert cache.read_note("facts", "key") is None


def test_a_key_depends_on_all_its_parts() -> None:
    keys = {cache.key_of(*parts) for parts in (("a", 1), ("a", 2), ("a1",), ("a", "1", ""))}
    assert len(keys) == 4
    assert cache.key_of("a", 1) == cache.key_of("a", "1")
