"""`ablate data`: what there is, where it lies, one line about it, and a download only when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.cli._options import check_given, data_lines
from ablate.spec.errors import SpecError
from tests.tiny import image_folder


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, ["data", *args])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLATE_DATA", str(tmp_path))
    return image_folder(tmp_path / "mine", {"cat": 4, "dog": 6}, {"cat": 2, "dog": 3})


def test_it_lists_what_there_is_and_where(folder: Path) -> None:
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in invoke().stdout.splitlines()}
    assert lines.pop("DATASET") == "PLACE"
    assert list(lines) == ["cifar10", "cifar100", "digits", "digits_pairs", "digits_shifted", "imagenet", "mine"]
    assert lines["mine"] == str(folder)
    assert lines["digits"] == "in scikit-learn"
    assert lines["imagenet"].startswith("nowhere yet: --data imagenet=PATH")
    listed = {one["name"]: one for one in json.loads(invoke("--json").stdout)}
    assert listed["mine"] == {"name": "mine", "needs_place": True, "place": str(folder)}
    assert listed["digits"] == {"name": "digits", "needs_place": False, "place": None}


def test_one_is_told_in_one_line(folder: Path) -> None:
    told = invoke("mine").stdout
    assert told.startswith(f"mine at {folder}: 2 classes, 10 images to train on, 5 to test on, fingerprint ")
    assert told.count("\n") == 1
    found = json.loads(invoke("mine", "--json").stdout)
    assert (found["classes"], found["train"], found["test"]) == (["cat", "dog"], 10, 5)
    assert found["fingerprint"] in told


def test_plan_and_run_say_in_the_same_line_what_lies_on_disk(folder: Path) -> None:
    (line,) = data_lines({"mine", "digits"}, {})
    assert line + "\n" == invoke("mine").stdout
    assert data_lines({"digits"}, {}) == []


def test_what_needs_no_place_is_told_too() -> None:
    assert invoke("digits").stdout == "digits in scikit-learn: fingerprint 6ebb3d2fee246a4e\n"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("digit",), "unknown dataset 'digit': did you mean 'digits'?"),
        (("cifar10",), "dataset cifar10 has no path: pass --data cifar10=PATH"),
        (("cifar10", "--data", "cifar10=/nowhere"), "there is no image folder /nowhere"),
        (("--data", "digits=/x"), "--data names digits, which needs no place"),
        (("imagenet", "--download", "x"), "--download is for cifar10 and cifar100; imagenet was named"),
        (("--download", "x"), "--download is for cifar10 and cifar100; no data set was named"),
    ],
)
def test_what_cannot_be_is_a_sentence(args: tuple[str, ...], sentence: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_download_is_torchvisions_and_only_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def create(scheme: str, **options: Any) -> None:
        asked.append({"scheme": scheme, **options})
        raise OSError("no network")

    monkeypatch.setattr("timm.data.create_dataset", create)
    assert invoke("cifar10", "--data", f"cifar10={tmp_path}").exit_code == 2
    assert not asked
    result = invoke("cifar10", "--download", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr == f"ablate: cannot download torch/cifar10 into {tmp_path}: no network\n"
    assert asked == [{"scheme": "torch/cifar10", "root": str(tmp_path), "split": "train", "download": True}]


def test_a_request_has_the_places_of_all_it_uses(folder: Path) -> None:
    assert check_given({}, {"mine", "digits", "cifar10"}) == {"mine": str(folder)}
    with pytest.raises(SpecError, match="--data names digits, which needs no place"):
        check_given({"digits": "/x"}, {"digits"})
    with pytest.raises(SpecError, match="--data names mine; the study uses digits"):
        check_given({"mine": "/x"}, {"digits"})
