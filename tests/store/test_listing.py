"""Files under a results folder: only those named after a run are records; the others are named once, and harmless."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.store import records, rows
from ablate.store.listing import listing
from ablate.store.root import Root
from tests.tiny import TINY, record_of

KEY = TINY.key


def checkpoint_of_a_notebook(folder: Path) -> Path:
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / f"{KEY}-checkpoint.json").write_text("{}")
    (folder / ".ipynb_checkpoints" / f"{KEY}.json").write_text("{}")
    return folder / ".ipynb_checkpoints"


def a_copy(folder: Path) -> Path:
    (folder / f"{KEY} (1).json").write_bytes((folder / f"{KEY}.json").read_bytes())
    return folder / f"{KEY} (1).json"


def named(name: str, content: str = "") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return write


def a_folder(folder: Path) -> Path:
    (folder / "X.json").mkdir()
    (folder / "X.json" / f"{KEY}.json").write_text("{}")
    return folder / "X.json"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.json")
    return folder / "x.json"


def a_large_file(folder: Path) -> Path:
    (folder / "large.json").touch()
    os.truncate(folder / "large.json", 2**31)
    return folder / "large.json"


def a_link_to_itself(folder: Path) -> Path:
    (folder / "loop.json").symlink_to("loop.json")
    return folder / "loop.json"


def a_link_to_its_folder(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder)
    return folder / "loop"


STRAYS = {
    "notebook": checkpoint_of_a_notebook,
    "copy": a_copy,
    "backup": named(f"{KEY}.json~"),
    "hidden": named(".DS_Store"),
    "companion": named(f"._{KEY}.json"),
    "empty": named("empty.json"),
    "unreadable text": named("x.json", "\x00\x01"),
    "upper case": named("ABCDEF0123.json", "{}"),
    "folder": a_folder,
    "pipe": a_pipe,
    "large": a_large_file,
    "link to itself": a_link_to_itself,
    "link to its folder": a_link_to_its_folder,
}


@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_file_is_named_once_and_passed_over(root: Root, stray: str) -> None:
    path = records.write(root.results, record_of(TINY))
    extra = STRAYS[stray](path.parent)
    found = rows.read(root.results)
    assert found.columns["key"] == [KEY]
    assert not found.damage
    assert found.note.count(str(extra)) == 1
    assert found.note.startswith("passed over, because they are not records: ")


@pytest.mark.parametrize("name", [".gitkeep", "notes.txt", f"{KEY}.abcd.superseded", f".{KEY}.json.{'0' * 32}"])
def test_a_file_that_nobody_takes_for_a_record_is_not_named(root: Root, name: str) -> None:
    (root.results / name).touch()
    assert listing(root.results).note == ""


def test_many_stray_files_are_counted(root: Root) -> None:
    for at in range(20):
        (root.results / f"copy {at}.json").touch()
    assert listing(root.results).note.endswith("; and 14 more")


def test_a_folder_that_cannot_be_read_is_named(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    path = records.write(root.results, record_of(TINY))
    closed = root.results / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if str(folder) == str(closed):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = rows.read(root.results)
    assert found.paths == {KEY: str(path)}
    assert f"{closed} (Permission denied)" in found.note


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing", "empty", "link to itself"])
def test_what_has_the_name_of_a_record_and_is_none_is_damaged(root: Root, kind: str) -> None:
    path = root.results / f"{KEY}.json"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link to nothing": lambda: path.symlink_to("nowhere"),
        "empty": path.touch,
        "link to itself": lambda: path.symlink_to(path.name),
    }[kind]()
    found = rows.read(root.results)
    assert found.columns == {}
    assert found.damage[KEY].startswith(f"cannot read the record {path}: ")


def test_no_folder_has_no_files(tmp_path: Path) -> None:
    assert listing(tmp_path / "nowhere").note == ""
