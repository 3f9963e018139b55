"""Any directory of images: what it must look like, and a sentence where it does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ablate.datasets import Files, _imagefolder, locate, source
from ablate.registry import SpecError
from ablate.spec import Run
from tests.tiny import TINY, picture_folder

RUN = TINY.but(dataset="mine", batch_size=2, holdout=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return picture_folder(tmp_path / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def loaded(run: Run, folder: Path) -> Files:
    _imagefolder.check(run, folder)
    return _imagefolder.load(run, folder)


@pytest.mark.parametrize("test_name", ["val", "validation", "test"])
def test_classes_are_folders_in_alphabetical_order(tmp_path: Path, test_name: str) -> None:
    folder = picture_folder(tmp_path, {"dog": 6, "cat": 4}, {"cat": 2, "dog": 3}, test_name=test_name)
    data = loaded(RUN, folder)
    assert data.classes == ("cat", "dog")
    assert {part: len(indices) for part, indices in data.parts.items()} == {"train": 10, "heldout": 0, "test": 5}
    for part, on_disk in (("train", "train"), ("test", test_name)):
        for index in data.parts[part]:
            path = data.paths[index]
            assert path.parts[-3:-1] == (on_disk, data.classes[data.labels[index]])


def test_val_comes_before_test_when_both_are_there(folder: Path) -> None:
    shutil.copytree(folder / "train", folder / "test")
    assert len(loaded(RUN, folder).parts["test"]) == 5


def test_the_held_out_part_comes_from_the_training_folder(folder: Path) -> None:
    data = loaded(RUN.but(holdout=0.5), folder)
    assert len(data.parts["heldout"]) == len(data.parts["train"]) == 5
    assert not set(data.parts["heldout"]) & set(data.parts["train"])
    assert {data.paths[index].parts[-3] for index in data.parts["heldout"]} == {"train"}
    assert list(np.bincount(data.labels[data.parts["heldout"]])) == [2, 3]


def test_what_is_no_picture_is_passed_over(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("no picture")
    (folder / "train" / "list.csv").write_text("no class")
    assert len(loaded(RUN, folder).parts["train"]) == 10


def empty_class(folder: Path) -> None:
    for path in (folder / "train" / "cat").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (shutil.rmtree, "there is no image folder .*mine; wanted is a directory with train/ and val/ in it"),
        (lambda f: shutil.rmtree(f / "train"), "mine has no train folder; wanted are train/ and val/"),
        (lambda f: shutil.rmtree(f / "val"), "mine has no val folder; wanted are train/ and val/"),
        (empty_class, "class cat in .*train is empty; wanted are pictures as CLASS/NAME with an ending of .*.png"),
        (lambda f: [shutil.rmtree(f / "val" / name) for name in ("cat", "dog")], "the image folder .*val is empty"),
        (
            lambda f: (f / "val" / "dog").rename(f / "val" / "wolf"),
            "differ in their classes: only one has dog, wolf",
        ),
        (
            lambda f: shutil.rmtree(f / "val" / "dog"),
            "train and test of .*mine differ in their classes: only one has dog",
        ),
    ],
)
def test_a_folder_that_will_not_do_is_a_sentence(folder: Path, harm: object, sentence: str) -> None:
    harm(folder)  # type: ignore[operator]
    with pytest.raises(SpecError, match=sentence):
        loaded(RUN, folder)


def test_no_location_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="there is no image folder"):
        _imagefolder.check(RUN, None)


def test_a_split_that_cannot_be_made_is_a_sentence(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"holdout 0.1 does not split 10 pictures by class"):
        loaded(RUN.but(holdout=0.1), folder)


@pytest.mark.parametrize(("holdout", "largest"), [(0.0, 10), (0.5, 5)])
def test_a_batch_larger_than_the_data_is_a_sentence(folder: Path, holdout: float, largest: int) -> None:
    _imagefolder.check(RUN.but(holdout=holdout, batch_size=largest), folder)
    with pytest.raises(SpecError, match=f"batch_size is {largest + 1}; dataset mine has {largest} pictures"):
        _imagefolder.check(RUN.but(holdout=holdout, batch_size=largest + 1), folder)


def renamed(folder: Path) -> None:
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "cat" / "00.png")


def resized(folder: Path) -> None:
    with open(folder / "val" / "dog" / "0.png", "ab") as file:
        file.write(b"\0")


def moved(folder: Path) -> None:
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "dog" / "cat0.png")


@pytest.mark.parametrize("harm", [renamed, resized, moved])
def test_the_fingerprint_is_of_the_content_not_of_the_place(folder: Path, tmp_path: Path, harm: object) -> None:
    before = _imagefolder.fingerprint(folder)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert _imagefolder.fingerprint(copy) == before
    harm(folder)  # type: ignore[operator]
    assert _imagefolder.fingerprint(folder) != before


def test_a_folder_is_found_as_given_else_on_the_shelf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate("mine", {"mine": str(folder)}) == folder
    assert locate("mine", {}) is None
    monkeypatch.setenv("ABLATE_DATA", str(folder.parent))
    assert locate("mine", {}) == folder
    assert locate("gone", {}) is None
    assert locate("mine", {"mine": "elsewhere"}) == Path("elsewhere")
    assert source("mine", {}) == (_imagefolder, folder)


def test_a_name_that_is_neither_known_nor_located_is_a_sentence() -> None:
    with pytest.raises(SpecError) as error:
        source("digit", {})
    assert "unknown dataset 'digit': did you mean 'digits'?" in str(error.value)
    assert "or a directory of images given with --data digit=PATH" in str(error.value)
