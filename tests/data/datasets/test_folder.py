"""One folder per class: the layout, and messages for invalid ones."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from ablate.data.datasets import Encoded, _directory
from ablate.data.datasets._directory import DIRECTORY
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.train.execute import execute
from tests.tiny import TINY, image_folder

RUN = TINY.replace(dataset="mine", batch_size=2, holdout=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def loaded(run: Run, folder: Path) -> Encoded:
    _directory.check(run, folder)
    return _directory.load(run, folder)


@pytest.mark.parametrize("test_name", ["val", "validation", "test"])
def test_classes_are_folders_in_alphabetical_order(tmp_path: Path, test_name: str) -> None:
    folder = image_folder(tmp_path, {"dog": 6, "cat": 4}, {"cat": 2, "dog": 3}, test_name=test_name)
    data = loaded(RUN, folder)
    assert data.classes == ("cat", "dog")
    assert {part: len(indices) for part, indices in data.parts.items()} == {"train": 10, "heldout": 0, "test": 5}
    for part, on_disk in (("train", "train"), ("test", test_name)):
        for index in data.parts[part]:
            assert Path(data.reader.name(index)).parts[:2] == (on_disk, data.classes[data.labels[index]])
            assert data.reader[index].size == (20, 20)


def test_val_comes_before_test_when_both_are_there(folder: Path) -> None:
    shutil.copytree(folder / "train", folder / "test")
    assert len(loaded(RUN, folder).parts["test"]) == 5


def test_the_held_out_part_comes_from_the_training_folder(folder: Path) -> None:
    data = loaded(RUN.replace(holdout=0.5), folder)
    assert len(data.parts["heldout"]) == len(data.parts["train"]) == 5
    assert not set(data.parts["heldout"]) & set(data.parts["train"])
    assert {Path(data.reader.name(index)).parts[0] for index in data.parts["heldout"]} == {"train"}
    assert list(np.bincount(data.labels[data.parts["heldout"]])) == [2, 3]


def test_other_files_are_ignored(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    (folder / "train" / "list.csv").write_text("no class")
    assert len(loaded(RUN, folder).parts["train"]) == 10


def test_names_that_begin_with_a_dot_are_no_classes_and_no_images(folder: Path) -> None:
    """What notebooks, network drives, trash cans and macOS leave behind."""
    before = _directory.fingerprint(folder)
    for part in ("train", "val"):
        for name in (".ipynb_checkpoints", ".@__thumb", ".Trash-1000"):
            shutil.copytree(folder / part / "cat", folder / part / name)
        shutil.copy(folder / part / "cat" / "0.png", folder / part / "cat" / "._0.png")
    data = loaded(RUN, folder)
    assert data.classes == ("cat", "dog")
    assert (len(data.parts["train"]), len(data.parts["test"])) == (10, 5)
    assert _directory.fingerprint(folder) == before


def empty_class(folder: Path) -> None:
    for path in (folder / "train" / "cat").iterdir():
        path.unlink()


def flat(folder: Path) -> None:
    """ImageNet's validation part as its archive unpacks."""
    for path in list((folder / "val").glob("*/*.png")):
        path.rename(folder / "val" / f"{path.parent.name}{path.name}")
    for path in (folder / "val").iterdir():
        if path.is_dir():
            path.rmdir()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (shutil.rmtree, "there is no image folder .*mine; pass a directory that contains train/ and val/"),
        (lambda f: shutil.rmtree(f / "train"), "mine has no train folder; it must contain train/ and val/"),
        (lambda f: shutil.rmtree(f / "val"), "mine has no val folder; it must contain train/ and val/"),
        (flat, "val contains images but no class folders; move each .* folder of its class, val/CLASS/, for ImageNet"),
        (empty_class, "class cat in .*train is empty; it must contain images CLASS/NAME with a suffix of .*.png"),
        (lambda f: [shutil.rmtree(f / "val" / name) for name in ("cat", "dog")], "the image folder .*val is empty"),
        (
            lambda f: (f / "val" / "dog").rename(f / "val" / "wolf"),
            "must have the same classes; only one has dog, wolf",
        ),
        (
            lambda f: shutil.rmtree(f / "val" / "dog"),
            "train and test of .*mine must have the same classes; only one has dog",
        ),
    ],
)
def test_a_folder_that_will_not_do_is_refused(folder: Path, harm: object, sentence: str) -> None:
    harm(folder)  # type: ignore[operator]
    with pytest.raises(SpecError, match=sentence):
        loaded(RUN, folder)


def test_no_location_is_refused() -> None:
    with pytest.raises(SpecError, match="there is no image folder"):
        _directory.check(RUN, None)


def test_a_split_that_cannot_be_made_is_refused(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"holdout 0.1 cannot split 10 images by class"):
        loaded(RUN.replace(holdout=0.1), folder)


@pytest.mark.parametrize(("holdout", "largest"), [(0.0, 10), (0.5, 5)])
def test_a_batch_larger_than_the_data_is_refused(folder: Path, holdout: float, largest: int) -> None:
    _directory.check(RUN.replace(holdout=holdout, batch_size=largest), folder)
    with pytest.raises(
        SpecError, match=f"batch_size must be at most {largest}, the training images of mine, got {largest + 1}"
    ):
        _directory.check(RUN.replace(holdout=holdout, batch_size=largest + 1), folder)


def renamed(folder: Path) -> None:
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "cat" / "00.png")


def resized(folder: Path) -> None:
    with open(folder / "val" / "dog" / "0.png", "ab") as file:
        file.write(b"\0")


def moved(folder: Path) -> None:
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "dog" / "cat0.png")


@pytest.mark.parametrize("harm", [renamed, resized, moved])
def test_the_fingerprint_is_of_the_content_not_of_the_place(folder: Path, tmp_path: Path, harm: object) -> None:
    before = _directory.fingerprint(folder)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert _directory.fingerprint(copy) == before
    harm(folder)  # type: ignore[operator]
    assert _directory.fingerprint(folder) != before


def test_a_name_that_is_no_unicode_is_read(folder: Path) -> None:
    odd = os.fsencode(folder / "train" / "cat" / "x") + b"\xff.png"
    os.rename(folder / "train" / "cat" / "0.png", odd)
    data = loaded(RUN, folder)
    assert len(_directory.fingerprint(folder)) == 16
    assert all(data.reader[index].size == (20, 20) for index in data.parts["train"])


@pytest.mark.parametrize("name", [b"x\xff.png", b"\x1b[31mx.png"])
@pytest.mark.parametrize("loader", ["resident", "workers"])
def test_a_broken_image_of_any_name_is_in_the_record(folder: Path, tmp_path: Path, name: bytes, loader: str) -> None:
    """A record is JSON, which contains no bytes; a terminal would obey the escape sequence."""
    with open(os.fsencode(folder / "train" / "dog") + b"/" + name, "wb") as file:
        file.write(b"no image")
    run = RUN.replace(loader=loader, epochs=1)
    record = execute(run, Resources(data={"mine": str(folder)}, max_corrupt=0.2))
    escaped = name.replace(b"\xff", rb"\xff").replace(b"\x1b", rb"\x1b").decode()
    assert records.read(records.write(tmp_path / "results", record)).dataset["broken"] == {
        "count": 1,
        "names": [f"train/dog/{escaped}"],
    }


def test_files_in_another_test_folder_are_reported(folder: Path) -> None:
    before = DIRECTORY.line("mine", folder)
    for place in ("test/cat/0.png", "test/1.png", "test/.hidden"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()
    assert DIRECTORY.line("mine", folder) == f"{before}; 2 files left out (in test/, the test part is val/)"


def test_a_reader_travels_to_another_process(folder: Path) -> None:
    reader = loaded(RUN, folder).reader
    assert pickle.loads(pickle.dumps(reader)).name(3) == reader.name(3) == "train/cat/3.png"
