"""Any directory of images: its path, its cached facts, and the line that describes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ablate.data.datasets import _directory, _folder, _parquet, is_available, locate, resolve, source
from ablate.data.datasets._directory import DIRECTORY, Directory
from ablate.spec.errors import SpecError
from tests.tiny import TINY, image_folder, parquet_folder

RUN = TINY.replace(dataset="mine", batch_size=2, holdout=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "shelf" / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def settings(where: Path, place: str) -> None:
    where.mkdir(parents=True, exist_ok=True)
    (where / "ablate.toml").write_text(f'[data]\nmine = "{place}"\n')


def test_places_are_looked_for_in_order(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's settings, ABLATE_DATA, the current folder's settings, --data: each hides the one before."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert locate("mine", {}) is None
    settings(tmp_path / "home" / "ablate", "of_the_user")
    assert locate("mine", {}) == tmp_path / "home" / "ablate" / "of_the_user"
    monkeypatch.setenv("ABLATE_DATA", str(folder.parent))
    assert locate("mine", {}) == folder
    settings(here, "/of/the/folder")
    assert locate("mine", {}) == Path("/of/the/folder")
    assert locate("mine", {"mine": "given"}) == Path("given")
    assert locate("gone", {}) is None


def test_what_needs_no_place_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "digits").mkdir()
    monkeypatch.setenv("ABLATE_DATA", str(folder.parent))
    assert locate("digits", {"digits": "/x"}) is None
    assert is_available("digits", {})
    assert not is_available("cifar10", {})
    assert is_available("cifar10", {"cifar10": "/x"})


def test_a_request_has_every_place_it_uses(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a worker on another machine, with other settings, reads the same."""
    monkeypatch.setenv("ABLATE_DATA", str(folder.parent))
    monkeypatch.chdir(tmp_path)
    found = resolve({"digits", "mine", "cifar10", "gone"}, {"cifar10": "x"})
    assert found == {"mine": str(folder), "cifar10": str(tmp_path / "x")}


def test_a_name_that_is_neither_known_nor_located_is_refused() -> None:
    with pytest.raises(SpecError) as error:
        source("digit", {})
    assert "unknown dataset 'digit': did you mean 'digits'?" in str(error.value)
    assert "or pass a directory of images with --data digit=PATH" in str(error.value)
    with pytest.raises(SpecError, match=r"dataset cifar10 has no path: pass --data cifar10=PATH \(see `ablate data`\)"):
        source("cifar10", {})


def test_the_content_determines_the_layout(folder: Path, tmp_path: Path) -> None:
    other = parquet_folder(tmp_path / "rows", {"cat": 4}, {"cat": 2})
    assert DIRECTORY._layout(folder)[1] is _folder
    assert DIRECTORY._layout(other)[1] is _parquet
    assert source("mine", {"mine": str(folder)}) == (_directory, folder)


@pytest.mark.parametrize("name", ["metadata.parquet", "data/train-00000-of-00001.parquet"])
def test_parquet_files_beside_folders_are_refused(folder: Path, name: str) -> None:
    """One stray file must not hide a folder of images."""
    (folder / "data").mkdir()
    (folder / name).write_bytes(b"PAR1")
    with pytest.raises(SpecError, match=f"mine must contain either Parquet files or .* got both; move .*/mine/{name}"):
        DIRECTORY.facts(folder)


def test_an_answer_names_the_way_to_data_nearby(folder: Path, tmp_path: Path) -> None:
    published = parquet_folder(tmp_path / "published" / "plain_text", {"a": 1}, {"a": 1})
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "cifar-10-python.tar.gz").touch()
    (tmp_path / "above" / "data" / "train").mkdir(parents=True)
    (tmp_path / "above" / "data" / "train" / "0.parquet").touch()
    cifar10 = source("cifar10", {"cifar10": "x"})[0].DIRECTORY
    for given, directory, way in [
        (folder / "train", DIRECTORY, f"pass {folder} instead"),
        (published.parent, DIRECTORY, f"pass {published} instead"),
        (published.parent, cifar10, f"pass {published} instead"),
        (tmp_path / "cifar-10-batches-py", cifar10, f"pass {tmp_path} instead"),
        (tmp_path / "above", DIRECTORY, f"move the Parquet files in {tmp_path / 'above' / 'data' / 'train'} to"),
        (tmp_path / "packed", cifar10, "unpack cifar-10-python.tar.gz first"),
    ]:
        with pytest.raises(SpecError) as error:
            directory.facts(given)
        assert f"{given} contains no dataset; {way}" in str(error.value)


def test_facts_of_many_images_are_kept_until_a_folder_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_directory, "MANY", 10)
    listed = []
    list_part = _folder.list_part
    monkeypatch.setattr(_folder, "list_part", lambda path: listed.append(path) or list_part(path))
    first = DIRECTORY.facts(folder)
    assert listed
    listed.clear()
    assert DIRECTORY.facts(folder) == first
    assert not listed, "the facts come from the cache"
    (folder / "train" / "cat" / "0.png").unlink()
    assert DIRECTORY.facts(folder).train == (3, 6)
    assert DIRECTORY.facts(folder).fingerprint != first.fingerprint


def test_a_cache_that_is_damaged_or_cannot_be_written_costs_time_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_directory, "MANY", 10)
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    first = DIRECTORY.facts(folder)
    for path in (tmp_path / "cache" / "facts").glob("*.json"):
        path.write_text("{")
    assert DIRECTORY.facts(folder) == first
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "file"))
    assert DIRECTORY.facts(folder) == first


def test_few_images_are_looked_at_each_time(folder: Path) -> None:
    before = DIRECTORY.fingerprint(folder)
    with open(folder / "val" / "dog" / "0.png", "ab") as file:
        file.write(b"\0")
    assert DIRECTORY.fingerprint(folder) != before


def test_one_line_describes_the_data(folder: Path) -> None:
    line = DIRECTORY.line("mine", folder)
    assert line == (
        f"mine at {folder}: 2 classes, 10 images to train on, 5 to test on, fingerprint {DIRECTORY.fingerprint(folder)}"
    )
    assert Directory(usual=(10, 5)).line("mine", folder) == line
    assert Directory(usual=(1_281_167, 50_000)).line("mine", folder) == (
        line + "; the published dataset has 1,281,167 and 50,000"
    )


def test_automatic_augmentation_of_kept_images_is_refused(folder: Path) -> None:
    run = RUN.replace(auto_augment="rand-m9")
    _directory.check(run, folder)
    with pytest.raises(SpecError, match=r"auto_augment 'rand-m9' works on single images; set loader='workers'"):
        _directory.check(run.replace(loader="resident"), folder)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet"])
def test_a_wrong_number_of_classes_is_refused(name: str, folder: Path) -> None:
    module, location = source(name, {name: str(folder)})
    with pytest.raises(SpecError, match=f"mine must have {module.CLASSES:,} classes, one folder each, got 2"):
        module.check(RUN.replace(dataset=name), location)


def test_another_number_of_images_is_only_reported(places: dict[str, str]) -> None:
    module, location = source("imagenet", places)
    module.check(RUN.replace(dataset="imagenet"), location)
    line = module.DIRECTORY.line("imagenet", location)
    assert "1,000 classes, 5,000 images to train on, 1,000 to test on" in line
    assert line.endswith("the published dataset has 1,281,167 and 50,000")


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    for nowhere in (None, tmp_path / "gone"):
        with pytest.raises(SpecError, match="there is no image folder"):
            _directory.check(RUN, nowhere)
    assert not os.path.exists(tmp_path / "gone")


def test_folders_of_other_names_are_not_imagenet(tmp_path: Path) -> None:
    """They would be numbered otherwise, and released weights would be wrong on all images."""
    names = [f"n{label:08}" for label in range(1000)]
    folder = image_folder(tmp_path, dict.fromkeys(names, 1), dict.fromkeys(names, 1), side=1)
    module, _ = source("imagenet", {"imagenet": str(folder)})
    module.check(RUN.replace(dataset="imagenet"), folder)
    for part in ("train", "val"):
        (folder / part / names[7]).rename(folder / part / "tench")
    with pytest.raises(
        SpecError, match=r"must have names such as n01440764, got 1 others such as tench; .*--data NAME=PATH"
    ):
        module.check(RUN.replace(dataset="imagenet"), folder)
    DIRECTORY.check(RUN, folder)
