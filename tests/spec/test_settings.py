"""The settings files: precedence, paths, and messages for invalid files."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.spec.errors import SpecError
from ablate.spec.settings import cache_folder, data_folders, section


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


def test_the_current_folder_overrides_the_user(here: Path) -> None:
    user = here.parent / "config" / "ablate" / "ablate.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[slurm]\npartition = 'long'\nnodes = 2\n")
    (here / "ablate.toml").write_text("[slurm]\npartition = 'short'\n")
    assert section("slurm") == {"partition": "short", "nodes": 2}
    assert section("other") == {}


def test_paths_are_relative_to_the_folder_of_their_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    (here / "ablate.toml").write_text('[data]\none = "near"\ntwo = "/far"\nthree = "~/mine"\n')
    assert data_folders() == {"one": here / "near", "two": Path("/far"), "three": Path("/home/anna/mine")}


def test_the_environment_names_a_folder_of_datasets(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / "folder"
    (folder / "birds").mkdir(parents=True)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "notes.txt").touch()
    monkeypatch.setenv("HOME", str(here))
    for value in ("folder", "~/folder"):
        monkeypatch.setenv("ABLATE_DATA", value)
        assert data_folders() == {"birds": folder / "birds"}
    monkeypatch.setenv("ABLATE_DATA", "gone")
    assert data_folders() == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[data", "cannot read the settings .*ablate.toml"),
        ("data = 3", r"data in .* must be a table \[data\] with lines NAME = VALUE, got 3"),
        ("[data]\none = 3", "data.one in .*ablate.toml must be a path, in quotes, got 3"),
    ],
)
def test_an_invalid_file_is_refused(here: Path, text: str, sentence: str) -> None:
    (here / "ablate.toml").write_text(text)
    with pytest.raises(SpecError, match=sentence):
        data_folders()


def test_the_environment_sets_the_cache_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", "/fast/disk")
    assert cache_folder() == Path("/fast/disk")
    monkeypatch.delenv("ABLATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/ablate")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"[data]\nx = " + b"[" * 3000 + b"]" * 3000,
            "cannot read the settings .*ablate.toml: it is nested too deeply",
        ),
        (
            b"[data]\nx = 'gr\xfc\xdf'",
            r"cannot read the settings .*ablate.toml: 'utf-8.*' codec can't decode byte 0xfc",
        ),
        (b"[data]\nx = 3", "data.x in .*ablate.toml must be a path, in quotes, got 3"),
        (b"data = '" + b"a" * 9999 + b"'", "data in .*ablate.toml must be a table"),
        (b"x = \0", "cannot read the settings .*ablate.toml: "),
    ],
)
def test_settings_that_cannot_be_read_are_a_sentence(here: Path, content: bytes, words: str) -> None:
    (here / "ablate.toml").write_bytes(content)
    with pytest.raises(SpecError, match=words) as error:
        data_folders()
    assert len(str(error.value)) < 400


def test_settings_may_be_empty_or_begin_with_a_byte_order_mark(here: Path) -> None:
    (here / "ablate.toml").touch()
    assert section("data") == {}
    (here / "ablate.toml").write_bytes(codecs.BOM_UTF8 + b"[data]\nx = '/data/x'\n")
    assert data_folders() == {"x": Path("/data/x")}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_settings_must_be_a_regular_file(here: Path, make: Callable[[Path], None]) -> None:
    make(here / "ablate.toml")
    with pytest.raises(SpecError, match=r"cannot read the settings .*ablate\.toml: it must be a regular file"):
        section("data")


def test_a_user_without_a_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME is not set, and the user is in no list of users: there are no settings of the user."""

    def unknown(_: int) -> None:
        raise KeyError

    for name in ("HOME", "ABLATE_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    (here / "ablate.toml").write_text('[data]\none = "near"\n')
    assert data_folders() == {"one": here / "near"}
    found = cache_folder()
    assert found == here / f"ablate-cache-{os.getuid()}"
    found.symlink_to("/proc/1")
    monkeypatch.setattr("os.getuid", lambda: 1)
    found.rename(here / "ablate-cache-1")
    with pytest.raises(SpecError, match="ablate-cache-1 belongs to another user; set ABLATE_CACHE"):
        cache_folder()


@pytest.mark.parametrize("home", ["/dev/null", "/proc/none", "/dev/null/below"])
def test_a_home_that_cannot_be_written(here: Path, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ABLATE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr("os.access", lambda path, _: not str(path).startswith("/proc"))
    assert cache_folder() == here / f"ablate-cache-{os.getuid()}"


def test_settings_in_a_folder_of_another_user_do_not_count(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (here / "ablate.toml").touch()
    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(SpecError, match=r"cannot read the settings .*ablate.toml: Permission denied"):
        section("slurm")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert section("slurm") == {}
