"""Parquet files that contradict each other: class names, columns and labels are checked in every file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ablate.data.datasets import _directory
from ablate.data.datasets._directory import DIRECTORY
from ablate.spec.errors import SpecError
from tests.tiny import TINY

CLASSES = ("apple", "bread", "cup")


def write(path: Path, labels: Sequence[int], names: Sequence[str] = (), **columns: Any) -> None:
    """Write a file of rows with these labels; images need not be decoded here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": bytes([number, label % 256]), "path": "x"} for number, label in enumerate(labels)]
    table = pa.table({"image": images, "label": list(labels)} | columns)
    if names:
        content = {"info": {"features": {"label": {"names": list(names)}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(content)})
    pq.write_table(table, path)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return tmp_path / "data" / "train-00000-of-00001.parquet"


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return tmp_path / "data" / "test-00000-of-00001.parquet"


def test_labels_are_mapped_by_name_where_train_and_test_number_classes_differently(
    tmp_path: Path, train: Path, test: Path
) -> None:
    write(train, [0, 0, 1, 2], CLASSES)
    write(test, [0, 1, 2, 2], ("cup", "apple", "bread"))
    data = _directory.load(TINY.replace(dataset="mine", holdout=0.0), tmp_path)
    assert data.classes == CLASSES
    assert list(data.labels[data.parts["test"]]) == [2, 0, 1, 1]
    assert DIRECTORY.facts(tmp_path).test == (1, 2, 1)
    in_order = DIRECTORY.fingerprint(tmp_path)
    write(test, [0, 1, 2, 2], CLASSES)
    assert DIRECTORY.fingerprint(tmp_path) != in_order


def test_a_file_without_names_has_those_of_the_others(tmp_path: Path, train: Path, test: Path) -> None:
    write(train, [0, 1, 2])
    write(test, [0, 1, 2], CLASSES)
    assert DIRECTORY.facts(tmp_path).classes == CLASSES


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_class_names_are_read_with_and_without_a_byte_order_mark(
    tmp_path: Path, train: Path, test: Path, encoding: str
) -> None:
    write(train, [0, 1])
    write(test, [0, 1])
    (tmp_path / "classes.txt").write_text("Äpfel\r\nBrot\r\n", encoding=encoding)
    assert DIRECTORY.facts(tmp_path).classes == ("Äpfel", "Brot")
    (tmp_path / "classes.txt").write_text("Äpfel\nBrot\n", encoding="latin-1")
    assert f"{tmp_path / 'classes.txt'} must be a text file in UTF-8" in refusal(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(SpecError) as error:
        DIRECTORY.facts(folder)
    return str(error.value)


def test_other_classes_in_the_test_part_are_refused(tmp_path: Path, train: Path, test: Path) -> None:
    write(train, [0, 1, 2], CLASSES)
    write(test, [0, 1, 2], ("apple", "bread", "dish"))
    assert "must have the same classes; only one has cup, dish" in refusal(tmp_path)


def test_class_names_that_occur_twice_cannot_be_put_in_order(tmp_path: Path, train: Path, test: Path) -> None:
    write(train, [0, 1, 2], ("crane", "crane", "cup"))
    write(test, [0, 1, 2], ("crane", "crane", "cup"))
    assert DIRECTORY.facts(tmp_path).classes == ("crane", "crane", "cup")
    write(test, [0, 1, 2], ("cup", "crane", "crane"))
    assert "class names must differ from each other to be put in order, got cup, crane, crane" in refusal(tmp_path)


@pytest.mark.parametrize("names", [("cup", "apple", "bread"), ("apple", "bread", "dish")])
def test_shards_of_one_part_that_disagree_are_refused(tmp_path: Path, test: Path, names: tuple[str, ...]) -> None:
    for number, of_shard in enumerate((CLASSES, names)):
        write(tmp_path / "data" / f"train-0000{number}-of-00002.parquet", [0, 1, 2, number], of_shard)
    write(test, [0, 1, 2], CLASSES)
    found = refusal(tmp_path)
    assert "train-00001-of-00002.parquet and train-00000-of-00002.parquet must name the same classes" in found


def test_columns_are_those_of_the_first_file_in_every_file(tmp_path: Path, train: Path, test: Path) -> None:
    write(train, [0, 1, 2])
    for odd, rest in (("img", "label"), ("fine_label", "image")):
        columns = {"img": [b"x"] * 3, "fine_label": [0, 1, 2], "image": [b"x"] * 3, "label": [0, 1, 2]}
        pq.write_table(pa.table({name: columns[name] for name in (odd, rest)}), test)
        assert f"must have a column {'image' if odd == 'img' else 'label'}, as train-00000" in refusal(tmp_path)
    pq.write_table(pa.table(columns), test)
    assert sum(DIRECTORY.facts(tmp_path).test) == 3, "more columns do no harm"


@pytest.mark.parametrize("twice", ["image", "label"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, train: Path, test: Path, twice: str) -> None:
    write(train, [0, 1, 2])
    write(test, [0, 1, 2])
    table = pq.read_table(test)
    pq.write_table(table.append_column(twice, table[twice]), test)
    assert f"{test} must have one column {twice}, got 2; remove" in refusal(tmp_path)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(
    ("kind", "got"),
    [
        (pa.struct({"bytes": pa.binary(), "path": pa.string()}), "none in 3 of 3 rows"),
        (pa.struct({"path": pa.string()}), "type struct<path: string>"),
    ],
)
def test_rows_with_a_path_only_are_refused(
    tmp_path: Path, train: Path, test: Path, part: str, kind: pa.DataType, got: str
) -> None:
    write(train, [0, 1, 2])
    write(test, [0, 1, 2])
    images = pa.array([{"path": "x.png"}] * 3, kind)
    write(train if part == "train" else test, [0, 1, 2], image=images)
    found = refusal(tmp_path)
    assert found.startswith(f"image in {train if part == 'train' else test} must contain the bytes of ")
    assert f", got {got}" in found


@pytest.mark.parametrize(
    ("labels", "names", "sentence"),
    [
        ([1, 2, 3], (), "from 0 to 3 must have images .*; 1 of 4 have none: 0; number the classes"),
        ([0, 2, 4], (), "from 0 to 4 must have images .*; 2 of 5 have none: 1, 3; "),
        ([0, 10**6, 2 * 10**6], (), "from 0 to 2000000 must .*; 1999998 of 2000001 have none: 1, 2, 3, 4, 5, …; "),
        ([0, 1, 10**9], (), "from 0 to 1000000000 must have images"),
        ([0, 1, 2**62], (), f"from 0 to {2**62} must have images"),
        ([0, 1, 10**9], CLASSES, "must be 0 to 2, got 0 to 1000000000"),
        ([0, 2, 2], CLASSES, "from 0 to 2 must have images .*; 1 of 3 have none: 1; "),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_every_label_has_images(
    tmp_path: Path, train: Path, test: Path, part: str, labels: list[int], names: tuple[str, ...], sentence: str
) -> None:
    write(train, [0, 1, 2], names)
    write(test, [0, 1, 2], names)
    write(train if part == "train" else test, labels, names)
    if part == "test" and max(labels) > 2:
        sentence = "labels in .*data, such as in test-.* must be 0 to 2, got "
    with pytest.raises(SpecError, match=sentence):
        DIRECTORY.facts(tmp_path)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["\ud800", "b", "c"], r"the name of class 0 in the metadata of .* must be UTF-8, got '\\ud800'"),
        ([None, "b", "c"], "class 0 in the metadata of .* must have a name, got None"),
        ([1, 2, 3], "class 0 in the metadata of .* must have a name, got 1"),
        (["a", " ", "c"], "class 1 in the metadata of .* must have a name, got ' '"),
        (["a", "a ", "c"], "must differ by more than Unicode normalisation and spaces at their ends, got 'a' and 'a '"),
        (["\u00c4", "A\u0308", "c"], r"must differ by more than .*, got '\\xc4' and 'A\\u0308'; rename one of them"),
        ({"0": "a"}, "the class names in the metadata of .* must be a list, got {'0': 'a'}"),
    ],
)
def test_names_in_metadata_that_are_not_valid_are_refused(
    tmp_path: Path, train: Path, test: Path, names: Any, sentence: str
) -> None:
    for path in (train, test):
        write(path, [0, 1, 2])
        content = {"info": {"features": {"label": {"names": names}}}}
        pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": json.dumps(content)}), path)
    with pytest.raises(SpecError, match=sentence):
        DIRECTORY.facts(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n\nb\nc\n", "class 1 in .*classes.txt must have a name, got ''"),
        ("\tapple\nb\nc\n", "class 0 in .*classes.txt must have a name, got ''"),
        ("\u00c4\nA\u0308\nc\n", "must differ by more than Unicode normalisation"),
    ],
)
def test_names_in_a_list_that_are_not_valid_are_refused(
    tmp_path: Path, train: Path, test: Path, text: str, sentence: str
) -> None:
    write(train, [0, 1, 2])
    write(test, [0, 1, 2])
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=sentence):
        DIRECTORY.facts(tmp_path)


@pytest.mark.parametrize("named", ["train", "test", "both"])
def test_a_list_of_other_names_than_the_metadata_is_refused(
    tmp_path: Path, train: Path, test: Path, named: str
) -> None:
    write(train, [0, 1, 2], CLASSES if named != "test" else ())
    write(test, [0, 1, 2], CLASSES if named != "train" else ())
    (tmp_path / "classes.txt").write_text("apple\nbread\ncup\n\n")
    assert DIRECTORY.facts(tmp_path).classes == CLASSES
    (tmp_path / "classes.txt").write_text("cup\nbread\napple\n")
    assert f"{tmp_path / 'classes.txt'} must have the class names in the metadata" in refusal(tmp_path)


def test_a_single_class_is_refused(tmp_path: Path, train: Path, test: Path) -> None:
    write(train, [0, 0, 0])
    write(test, [0, 0])
    assert refusal(tmp_path) == f"{tmp_path} must have at least two classes to tell apart, got only 0"


@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2), pa.dictionary(pa.int32(), pa.binary())],
    ids=str,
)
@pytest.mark.parametrize("labels", [pa.int8(), pa.uint64(), pa.dictionary(pa.int8(), pa.int64())], ids=str)
def test_images_and_labels_of_every_type_that_arrow_has_for_them_are_read(
    tmp_path: Path, train: Path, test: Path, kind: pa.DataType, labels: pa.DataType
) -> None:
    for path in (train, test):
        images = pa.array([b"a1", b"b2", b"c3"], pa.binary())
        of_kind = images.dictionary_encode() if pa.types.is_dictionary(kind) else images.cast(kind)
        numbers = pa.array([2, 0, 1])
        numbers = numbers.dictionary_encode() if pa.types.is_dictionary(labels) else numbers.cast(labels)
        write(path, [2, 0, 1], image=of_kind, label=numbers)
    data = _directory.load(TINY.replace(dataset="mine", holdout=0.0), tmp_path)
    assert [data.reader.encoded(index) for index in range(3)] == [b"a1", b"b2", b"c3"]
    assert list(data.labels) == [2, 0, 1, 2, 0, 1]
    assert sum(DIRECTORY.facts(tmp_path).test) == 3
