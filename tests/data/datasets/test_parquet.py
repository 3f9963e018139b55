"""Parquet files as on the Hugging Face hub: rows in any order, and messages for invalid files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ablate.data.datasets import Encoded, _directory
from ablate.data.datasets._directory import DIRECTORY
from ablate.data.datasets._parquet_reader import ParquetReader
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from tests.tiny import TINY, parquet_folder

RUN = TINY.replace(dataset="mine", batch_size=2, holdout=0.0)
TRAIN, TEST = {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return parquet_folder(tmp_path / "mine", TRAIN, TEST)


def loaded(folder: Path, **changes: Any) -> Encoded:
    _directory.check(RUN.replace(**changes), folder)
    return _directory.load(RUN.replace(**changes), folder)


def colour(data: Encoded, index: int) -> tuple[int, ...]:
    return data.reader[index].getpixel((0, 0))  # type: ignore[return-value]


@pytest.mark.parametrize("names", [("image", "label"), ("img", "fine_label")])
@pytest.mark.parametrize("test_name", ["val", "validation", "test"])
def test_rows_are_images_with_labels(tmp_path: Path, names: tuple[str, str], test_name: str) -> None:
    data = loaded(parquet_folder(tmp_path / "other", TRAIN, TEST, names=names, test_name=test_name))
    assert data.classes == ("cat", "dog")
    assert {part: len(indices) for part, indices in data.parts.items()} == {"train": 10, "heldout": 0, "test": 5}
    assert list(data.labels) == [0] * 4 + [1] * 6 + [0] * 2 + [1] * 3
    assert [colour(data, index) for index in data.parts["train"]] == [(n, 0, 50) for n in range(10)]
    assert [colour(data, index) for index in data.parts["test"]] == [(n, 0, 200) for n in range(5)]


def test_any_order_is_read_from_a_copy_in_the_cache(folder: Path) -> None:
    data = loaded(folder)
    quick = data.reader.random_access()
    assert quick is not data.reader
    assert quick.random_access() is quick
    for index in np.random.default_rng(0).permutation(15):
        assert quick[index].tobytes() == data.reader[index].tobytes()
        assert quick.name(index) == data.reader.name(index)


@pytest.mark.parametrize("name", ["pictures.bin", "ends.npy"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0])
def test_a_damaged_copy_is_named_and_made_again(
    folder: Path,
    tmp_path: Path,
    name: str,
    keep: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    data = loaded(folder)
    path = data.reader.random_access().folder / name
    content = path.read_bytes()
    path.write_bytes((content[:-1] + b"\x55")[: int(keep * len(content))])
    quick = data.reader.random_access()
    assert f"{path} has another checksum; this part of the cache is made again" in caplog.text
    assert [quick[index].tobytes() for index in range(15)] == [data.reader[index].tobytes() for index in range(15)]


def test_only_one_row_group_is_kept(folder: Path) -> None:
    reader = loaded(folder).reader
    assert isinstance(reader, ParquetReader)
    for index in range(15):
        reader[index]
        assert len(reader._kept) == 1
    assert not pickle.loads(pickle.dumps(reader))._kept
    assert reader.name(14) == "validation-00000-of-00001.parquet row group 2 row 0"


def test_files_may_lie_beside_each_other(folder: Path) -> None:
    for path in (folder / "data").iterdir():
        path.rename(folder / path.name)
    (folder / "data").rmdir()
    assert len(loaded(folder).labels) == 15


def test_names_that_begin_with_a_dot_are_not_data(folder: Path) -> None:
    before = DIRECTORY.fingerprint(folder)
    (folder / "data" / "._train-00000-of-00001.parquet").write_bytes(b"a companion file of macOS")
    (folder / "data" / ".train-00000-of-00001.parquet").write_bytes(part_of(folder, "train").read_bytes())
    assert len(loaded(folder).labels) == 15
    for path in (folder / "data").glob("[tv]*"):
        path.rename(folder / path.name)
    assert len(loaded(folder).labels) == 15, "hidden files in data/ do not hide those beside it"
    assert DIRECTORY.fingerprint(folder) == before


def test_classes_are_named_by_metadata_or_a_file_or_numbers(tmp_path: Path) -> None:
    folder = parquet_folder(tmp_path / "other", TRAIN, TEST, metadata=False)
    assert loaded(folder).classes == ("0", "1")
    (folder / "classes.txt").write_text("n01\ttench\nn02\tEnglish springer\n")
    assert loaded(folder).classes == ("n01", "n02")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"info": null}', '{"info": {"features": {"label": {"num_classes": 3}}}}']
)
def test_metadata_without_classes_are_ignored(tmp_path: Path, content: str) -> None:
    folder = parquet_folder(tmp_path / "other", TRAIN, TEST, metadata=False)
    for part in ("train", "validation"):
        table = pq.read_table(part_of(folder, part))
        pq.write_table(table.replace_schema_metadata({"huggingface": content}), part_of(folder, part))
    assert loaded(folder).classes == ("0", "1")


def rewritten(path: Path, change: Callable[[dict[str, list[Any]]], object]) -> None:
    table = pq.read_table(path)
    columns = table.to_pydict()
    change(columns)
    pq.write_table(pa.table(columns).replace_schema_metadata(table.schema.metadata), path)


def part_of(folder: Path, part: str) -> Path:
    return next((folder / "data").glob(f"{part}-*"))


def test_the_fingerprint_is_of_the_content_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    before = DIRECTORY.fingerprint(folder)
    assert DIRECTORY.fingerprint(parquet_folder(tmp_path / "copy", TRAIN, TEST)) == before


def test_labels_and_sizes_are_in_the_fingerprint(folder: Path) -> None:
    found = [DIRECTORY.fingerprint(folder)]

    def swap(columns: dict[str, list[Any]]) -> None:
        columns["label"][0], columns["label"][-1] = columns["label"][-1], columns["label"][0]

    def lengthen(columns: dict[str, list[Any]]) -> None:
        columns["image"][0]["bytes"] += b"\0"

    for change in (swap, lengthen):
        rewritten(part_of(folder, "validation"), change)
        found.append(DIRECTORY.fingerprint(folder))
    assert len(set(found)) == 3


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("row", [None, {"bytes": None, "path": "x"}])
def test_rows_without_the_bytes_of_an_image_are_refused_at_once(folder: Path, row: Any, statistics: bool) -> None:
    """They are found without decoding, also in a file whose writer left out the statistics."""
    path = part_of(folder, "train")
    columns = pq.read_table(path).to_pydict()
    columns["image"][2:4] = [row, row]
    pq.write_table(pa.table(columns), path, write_statistics=statistics, row_group_size=3)
    with pytest.raises(SpecError, match=r"bytes of an image in every row, got none in 2 of 10 rows; write the file"):
        DIRECTORY.facts(folder)


def test_files_of_neither_part_are_reported(folder: Path) -> None:
    before = DIRECTORY.line("mine", folder)
    for name in ("data/test-00000-of-00001", "data/extra", "other", "data/.hidden"):
        (folder / f"{name}.parquet").write_bytes(part_of(folder, "train").read_bytes())
    assert DIRECTORY.line("mine", folder) == before + "; 3 files left out (neither train nor validation)"


def without_train(folder: Path) -> None:
    part_of(folder, "train").rename(folder / "data" / "all-0.parquet")


def without_labels(folder: Path) -> None:
    rewritten(part_of(folder, "train"), lambda columns: columns.update(kind=columns.pop("label")))


def hidden_labels(folder: Path) -> None:
    rewritten(part_of(folder, "validation"), lambda columns: columns.update(label=[-1] * 5))


def missing_labels(folder: Path) -> None:
    rewritten(part_of(folder, "train"), lambda columns: columns["label"].__setitem__(0, None))


def damaged(folder: Path) -> None:
    part_of(folder, "train").write_bytes(b"PAR1 no more")


def labels_of(kind: Any) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        rewritten(part_of(folder, "train"), lambda columns: columns.update(label=[kind(0)] * 10))

    return harm


def images_of(kind: Any) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        rewritten(part_of(folder, "validation"), lambda columns: columns.update(image=[kind] * 5))

    return harm


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without_train, "must be called train-.*parquet and validation-.*parquet, got all, validation"),
        (without_labels, "must have a column label or fine_label, got image, kind"),
        (hidden_labels, "must be 0 to 1, got -1 to -1"),
        (missing_labels, "every image in .*data must have a label"),
        (labels_of(str), "label in .* must contain whole numbers from 0 on, got type string"),
        (labels_of(float), "label in .* must contain whole numbers from 0 on, got type double"),
        (labels_of(lambda number: [number]), "label in .* must contain whole numbers from 0 on, got type list"),
        (images_of("x.png"), "image in .* must contain the bytes of image files, got type string"),
        (
            images_of({"path": "x.png"}),
            "image in .* must contain the bytes of image files, got type struct<path: string>",
        ),
        (damaged, "train-.*parquet cannot be read as Parquet: "),
    ],
)
def test_files_that_will_not_do_are_refused(folder: Path, harm: Callable[[Path], None], sentence: str) -> None:
    harm(folder)
    with pytest.raises(SpecError, match=sentence):
        loaded(folder)


def test_the_real_cifar10(real: Callable[[str], Path]) -> None:
    module, location = DATASETS["cifar10"], real("cifar10")
    facts = module.DIRECTORY.facts(location)
    assert (facts.train, facts.test) == ((5000,) * 10, (1000,) * 10)
    assert facts.classes[0] == "airplane"
    data = module.load(RUN.replace(dataset="cifar10"), location)
    assert [data.reader[index].size for index in (0, 59_999)] == [(32, 32)] * 2


def test_the_real_imagenette(real: Callable[[str], Path]) -> None:
    data = loaded(real("imagenette128"))
    assert len(data.classes) == 10
    assert (len(data.parts["train"]), len(data.parts["test"])) == (7000, 2000)
    assert min(data.reader[0].size) >= 100
