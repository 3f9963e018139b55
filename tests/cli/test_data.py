"""`ablate data`: the list of datasets, the description of one, and downloads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.data import copies
from ablate.data.datasets import resolve
from ablate.dispatch.data import describe, locate
from ablate.spec.errors import SpecError
from tests.tiny import as_parquet, image_folder


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, ["data", *args])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path))
    return image_folder(tmp_path / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def test_all_are_listed_with_their_paths(folder: Path) -> None:
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in invoke().stdout.splitlines()}
    assert lines.pop("DATASET") == "PATH"
    assert list(lines) == ["cifar10", "cifar100", "digits", "digits_pairs", "digits_shifted", "imagenet", "mine"]
    assert lines["mine"] == str(folder)
    assert lines["digits"] == "in scikit-learn"
    assert lines["imagenet"].startswith("none; set it with --data imagenet=PATH")
    listed = {one["name"]: one for one in json.loads(invoke("--json").stdout)}
    assert listed["mine"] == {"name": "mine", "needs_path": True, "path": str(folder)}
    assert listed["digits"] == {"name": "digits", "needs_path": False, "path": None}


def test_one_is_described_in_three_lines(folder: Path) -> None:
    shown = invoke("mine").stdout
    assert shown.startswith(f"mine at {folder}: 2 classes, 10 images to train on, 5 to test on, fingerprint ")
    assert shown.splitlines()[1:] == [
        "all 15 images decoded: none corrupt, none with an EXIF orientation",
        "0 of 5 test images are byte copies of training images",
    ]
    found = json.loads(invoke("mine", "--json").stdout)
    assert (found["classes"], found["train"], found["test"]) == (["cat", "dog"], 10, 5)
    assert found["fingerprint"] in shown
    assert (found["decoded"], found["with_orientation"], found["corrupt"]) == (15, 0, [])


def test_an_answer_that_a_run_would_stop_ends_with_2(folder: Path) -> None:
    (folder / "val" / "cat" / "0.png").write_bytes(b"")
    for more in ([], ["--json"]):
        result = invoke("mine", *more)
        assert result.exit_code == 2
        assert "a run stops" in result.stdout
    assert json.loads(result.stdout)["stops"] is True


@pytest.mark.parametrize("layout", ["folder", "parquet"])
def test_test_images_that_are_copies_are_counted_and_a_whole_copy_is_refused(folder: Path, layout: str) -> None:
    def described() -> Result:
        if layout == "folder":
            return invoke("mine")
        shutil.rmtree(folder.parent / "parquet", ignore_errors=True)
        as_parquet(folder, folder.parent / "parquet")
        return invoke("parquet")

    shutil.copy(folder / "train" / "dog" / "1.png", folder / "val" / "cat" / "1.png")
    assert described().stdout.splitlines()[-1] == "1 of 5 test images are byte copies of training images"
    for path in (folder / "val").rglob("*.png"):
        shutil.copy(folder / "train" / path.relative_to(folder / "val"), path)
    result = described()
    assert result.exit_code == 2
    assert "must not be a copy of its training part: 5 of 5 test images are byte copies" in result.stderr


def test_of_large_parts_the_first_images_are_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (folder / "train" / "cat" / "0.png").stat().st_size
    monkeypatch.setattr(copies, "MOST", int(2.5 * size))
    shutil.copytree(folder / "train", folder / "val", dirs_exist_ok=True)
    result = invoke("mine")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        "2 of the first 2 of 10 test images are byte copies of training images (the first 2 of 10 compared)"
    )


def test_a_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does not expand it within NAME=PATH."""
    monkeypatch.setenv("HOME", str(folder.parent))
    assert invoke("other", "--data", "other=~/mine").stdout.startswith(f"other at {folder}: 2 classes")
    assert resolve({"other"}, {"other": "~/mine"}) == {"other": str(folder)}
    monkeypatch.delenv("HOME")
    assert invoke("other", "--data", "other=~nobody-of-this-name/x").exit_code == 2


def test_what_is_left_out_is_reported(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").touch()
    assert "; 1 file left out (not images)\n" in invoke("mine").stdout
    assert json.loads(invoke("mine", "--json").stdout)["left_out"] == {"not images": 1}


def test_plan_and_run_show_the_same_line(folder: Path) -> None:
    (line,) = describe({"mine", "digits"}, {})
    assert line == invoke("mine").stdout.splitlines()[0]
    assert describe({"digits"}, {}) == []


def test_a_dataset_of_a_package_is_described_too() -> None:
    assert invoke("digits").stdout == "digits in scikit-learn: fingerprint 6ebb3d2fee246a4e\n"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("digit",), "unknown dataset 'digit': did you mean 'digits'?"),
        (("cifar10",), "dataset cifar10 has no path: pass --data cifar10=PATH"),
        (("cifar10", "--data", "cifar10=/nowhere"), "there is no image folder /nowhere"),
        (("--data", "digits=/x"), "--data must name a dataset on disk, got digits"),
        (("digits", "--data", "digits=/x"), "--data must name a dataset on disk, got digits"),
        (("imagenet", "--download", "x"), "--download needs one of the datasets cifar10, cifar100, got imagenet"),
        (("--download", "x"), "--download needs one of the datasets cifar10, cifar100, got none"),
    ],
)
def test_mistakes_are_sentences(args: tuple[str, ...], sentence: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_torchvision_downloads_only_if_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[dict[str, Any]] = []

    def create(scheme: str, **options: Any) -> None:
        requested.append({"scheme": scheme, **options})
        raise OSError("no network")

    monkeypatch.setattr("timm.data.create_dataset", create)
    assert invoke("cifar10", "--data", f"cifar10={tmp_path}").exit_code == 2
    assert not requested
    result = invoke("cifar10", "--download", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr == f"ablate: cannot download torch/cifar10 into {tmp_path}: no network\n"
    assert requested == [{"scheme": "torch/cifar10", "root": str(tmp_path), "split": "train", "download": True}]


def test_every_used_dataset_is_located(folder: Path) -> None:
    assert locate({}, {"mine", "digits", "cifar10"}) == {"mine": str(folder)}
    with pytest.raises(SpecError, match="--data must name a dataset on disk, got digits"):
        locate({"digits": "/x"}, {"digits"})
    with pytest.raises(SpecError, match=r"that the study uses \(digits\), got mine"):
        locate({"mine": "/x"}, {"digits"})
