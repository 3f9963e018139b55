"""The user's settings: which file has the last word, and sentences for files that will not do."""

from __future__ import annotations

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


def test_the_current_folder_has_the_last_word(here: Path) -> None:
    user = here.parent / "config" / "ablate" / "ablate.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[slurm]\npartition = 'long'\nnodes = 2\n")
    (here / "ablate.toml").write_text("[slurm]\npartition = 'short'\n")
    assert section("slurm") == {"partition": "short", "nodes": 2}
    assert section("other") == {}


def test_a_place_is_taken_from_the_folder_of_its_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    (here / "ablate.toml").write_text('[data]\none = "near"\ntwo = "/far"\nthree = "~/mine"\n')
    assert data_folders() == {"one": here / "near", "two": Path("/far"), "three": Path("/home/somebody/mine")}


def test_the_shelf_has_a_directory_a_data_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = here / "shelf"
    (shelf / "birds").mkdir(parents=True)
    (shelf / "notes.txt").touch()
    monkeypatch.setenv("ABLATE_DATA", "shelf")
    assert data_folders() == {"birds": shelf / "birds"}
    monkeypatch.setenv("ABLATE_DATA", "gone")
    assert data_folders() == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[data", "cannot read the settings .*ablate.toml"),
        ("data = 3", r"data in .* is 3; wanted is a table \[data\]"),
        ("[data]\none = 3", "data.one in .*ablate.toml is 3; wanted is a path, in quotes"),
    ],
)
def test_a_file_that_will_not_do_is_a_sentence(here: Path, text: str, sentence: str) -> None:
    (here / "ablate.toml").write_text(text)
    with pytest.raises(SpecError, match=sentence):
        data_folders()


def test_the_cache_is_where_the_environment_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", "/fast/disk")
    assert cache_folder() == Path("/fast/disk")
    monkeypatch.delenv("ABLATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/ablate")
