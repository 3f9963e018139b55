"""The root folder, and atomic writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ablate.spec.errors import SpecError
from ablate.store.root import Root, write_atomically


def test_the_root_is_the_given_one_else_the_environments_else_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Root.at().path == tmp_path
    assert Root.at("below").path == tmp_path / "below"
    monkeypatch.setenv("ABLATE_ROOT", "fromenv")
    assert Root.at().path == tmp_path / "fromenv"
    assert Root.at("below").path == tmp_path / "below"


def test_its_folders_are_created_and_left_empty(tmp_path: Path) -> None:
    root = Root.at(tmp_path / "a" / "b")
    root.make_writable()
    assert [folder.name for folder in (root.results, root.runs, root.reports)] == ["results", "runs", "reports"]
    for folder in (root.results, root.runs, root.reports):
        assert folder.is_dir()
        assert not list(folder.iterdir())
    assert root.run_folder("abc").parent == root.runs


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file is in the way")
    with pytest.raises(SpecError, match=r"cannot write in .*results: .*; choose a writable folder with --root"):
        Root.at(tmp_path).make_writable()


def test_writing_creates_folders_and_leaves_only_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, b"old")
    seen = []
    replace = os.replace

    def look_first(*names: Path) -> None:
        seen.append(path.read_bytes())
        replace(*names)

    monkeypatch.setattr(os, "replace", look_first)
    write_atomically(path, b"new")
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"
