"""Which Parquet files count: shards are complete, and no file counts twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ablate.data.datasets._directory import DIRECTORY
from ablate.spec.errors import SpecError
from tests.tiny import parquet_folder


def write(path: Path, shade: int = 0) -> None:
    pq.write_table(pa.table({"image": [bytes([shade, 0]), bytes([shade, 1])], "label": [0, 1]}), path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with a test part and no training part."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "test-00000-of-00001.parquet", 99)
    return tmp_path / "data"


def refusal(data: Path) -> str:
    with pytest.raises(SpecError) as error:
        DIRECTORY.facts(data.parent)
    return str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00002", "train-00001-of-00002"),
        ("train-00001-of-00002", "train-00002-of-00002"),
        ("train-00000-of-00002-3f8a", "train-00001-of-00002-c07b"),
        ("train-clean-00000-of-00001", "train-other-00000-of-00001"),
        ("train-a", "train-b"),
        ("train", "train-more"),
    ],
)
def test_complete_shards_are_read(data: Path, names: tuple[str, ...]) -> None:
    for shade, name in enumerate(names):
        write(data / f"{name}.parquet", shade)
    assert DIRECTORY.facts(data.parent).train == (2, 2)


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([0], "contains 1 of 3 shards such as train-00000-of-00003.parquet; add the missing ones, the first of which"),
        ([1], "first of which has number 0"),
        ([0, 2], "contains 2 of 3 shards such as train-00000-of-00003.parquet; .* has number 1"),
        ([2, 3], "first of which has number 1"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_shards_are_refused(data: Path, numbers: list[int], sentence: str, part: str) -> None:
    if part == "test":
        (data / "test-00000-of-00001.parquet").rename(data / "train-00000-of-00001.parquet")
    for number in numbers:
        write(data / f"{part}-{number:05}-of-00003.parquet", number)
    with pytest.raises(SpecError, match=sentence.replace("train", part)):
        DIRECTORY.facts(data.parent)


def test_a_test_part_that_says_it_has_more_shards_is_refused_without_listing_them(data: Path) -> None:
    write(data / "train-00000-of-99999999999.parquet")
    assert "1 of 99999999999 shards" in refusal(data)


def test_two_sets_of_shards_are_refused(data: Path) -> None:
    write(data / "train-00000-of-00001.parquet")
    for number in (0, 1):
        write(data / f"train-0000{number}-of-00002.parquet", 1 + number)
    assert "must be shards of one set" in refusal(data)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("train-00000-of-00001", "train-00000-of-00001 (1)"),
        ("train-00000-of-00001", "train-00000-of-00001 2"),
        ("train-00000-of-00001", "train-00000-of-00001-3f8a"),
        ("train", "train (1)"),
        ("train", "train copy"),
        ("train", "train - Copy"),
        ("train", "train_copy"),
    ],
)
def test_copies_are_refused_by_name(data: Path, original: str, copy: str, same: bool) -> None:
    write(data / f"{original}.parquet")
    write(data / f"{copy}.parquet", 0 if same else 1)
    assert "since its images would count twice; remove one of them" in refusal(data)


def test_copies_are_refused_by_content(data: Path) -> None:
    write(data / "train-a.parquet")
    shutil.copy(data / "train-a.parquet", data / "train-z.parquet")
    assert "train-z.parquet must not be a copy of train-a.parquet" in refusal(data)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("gone", path)])
def test_what_is_no_regular_file_is_refused(data: Path, make: Callable[[Path], None]) -> None:
    write(data / "train-00000-of-00002.parquet")
    make(data / "train-00001-of-00002.parquet")
    assert "train-00001-of-00002.parquet must be a regular file" in refusal(data)


def test_a_file_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = parquet_folder(tmp_path, {"cat": 1}, {"cat": 1})
    train = next((folder / "data").glob("train*"))
    os.rename(train, os.fsencode(folder / "data") + b"/train-\xe9.parquet")
    with pytest.raises(SpecError, match=r"the name of .*data/train-\\xe9\.parquet must be UTF-8; rename it"):
        DIRECTORY.facts(folder)
