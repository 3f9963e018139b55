"""A user's mistake gives one sentence on standard error and exit code 2; no existing file is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.store import records
from tests import synthetic

STUDY = """
from ablate import DIGITS, Study

study = Study(question="Is it wrong?", axes={AXES}, fixed={FIXED}, scales={"digits": DIGITS})
"""


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def sentence(*words: str) -> str:
    """Return the one line that a wrong request prints."""
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("ablate: ")
    return lines[0]


def study(folder: Path, axes: object = "{}", fixed: object = "{}") -> str:
    path = folder / "wrong.py"
    path.write_text(STUDY.replace("{AXES}", str(axes)).replace("{FIXED}", str(fixed)))
    return str(path)


@pytest.mark.parametrize("command", ["plan", "run", "status", "table", "plot", "report"])
def test_unknown_study(command: str) -> None:
    said = sentence(command, "quickstrat")
    assert "unknown study 'quickstrat'" in said
    assert "did you mean 'quickstart'?" in said


@pytest.mark.parametrize("command", ["plan", "run", "status", "table", "plot", "report"])
def test_unknown_scale(command: str) -> None:
    assert "unknown scale 'huge'" in sentence(command, "quickstart", "--scale", "huge")


def test_missing_study_file(tmp_path: Path) -> None:
    assert "there is no study file" in sentence("plan", str(tmp_path / "nothing.py"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mixer": "atention"}, ["unknown mixer 'atention'", "did you mean 'attention'?", "patch_ff"]),
        ({"depht": 3}, ["unknown field 'depht'", "did you mean 'depth'?"]),
        ({"depth": "three"}, ["depth must be a whole number, got 'three'"]),
        ({"depth": 2.5}, ["depth must be a whole number, got 2.5"]),
        ({"epochs": 0}, ["epochs must be positive, got 0"]),
        ({"epochs": -3}, ["epochs must be positive, got -3"]),
        ({"patch_size": 5}, ["patch_size must divide image_size, which is 12, got 5"]),
        ({"heads": 7}, ["heads must divide dim, which is 48, got 7"]),
        ({"lr": float("1e400")}, ["lr", "inf"]),
        ({"image_size": 8, "patch_size": 4}, ["image_size must be 9 or more", "got 8"]),
    ],
)
def test_wrong_field(tmp_path: Path, fields: dict[str, object], words: list[str]) -> None:
    text = repr(fields).replace("inf", "float('inf')")
    said = sentence("plan", study(tmp_path, fixed=text), "--root", str(tmp_path))
    for word in words:
        assert word in said


def test_unknown_dataset(tmp_path: Path) -> None:
    """A plan works without its images, and reports that; a run does not."""
    path = study(tmp_path, fixed={"dataset": "digit"})
    said = sentence("run", path, "--root", str(tmp_path))
    for words in ("unknown dataset 'digit'", "did you mean 'digits'?", "--data digit=PATH"):
        assert words in said
    words = "digit is not available, so its images were not checked, and models are counted for 1,000 classes"
    assert words in invoke("plan", path, "--root", str(tmp_path)).stdout


def test_a_study_that_fails_shows_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("from ablate import Study\n\nlayers = undefined_name + 1\n")
    result = invoke("plan", str(path))
    assert result.exit_code == 2
    assert "broken.py, line 3: NameError: name 'undefined_name' is not defined" in result.stderr
    assert "    layers = undefined_name + 1" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_study_with_a_syntax_error_shows_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("from ablate import Study\nstudy = Study(\n")
    result = invoke("plan", str(path))
    assert result.exit_code == 2
    assert "broken.py, line 2: SyntaxError" in result.stderr


def test_a_file_without_a_study(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    path.write_text("answer = 42\n")
    assert "must assign a study" in sentence("plan", str(path))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--jobs", "0", "--jobs must be 1 or more, got 0"),
        ("--seeds", "0", "seeds must be an integer, 1 or more, got 0"),
        ("--threads", "0", "threads must be 1 or more, got 0"),
        ("--data", "nonsense", "--data must be NAME=PATH, got 'nonsense'"),
    ],
)
def test_wrong_option(tmp_path: Path, option: str, value: str, words: str) -> None:
    assert words in sentence("run", "quickstart", "--root", str(tmp_path), option, value)
    assert not list(tmp_path.rglob("*.json"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An image folder of two classes."""
    folder = tmp_path / "images"
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            Image.new("RGB", (16, 16), "red").save(folder / part / name / "0.png")
    return folder


def test_missing_image_folder(tmp_path: Path) -> None:
    path = study(tmp_path, fixed={"dataset": "images"})
    said = sentence("plan", path, "--root", str(tmp_path), "--data", f"images={tmp_path / 'nowhere'}")
    assert "there is no image folder" in said


def test_image_folder_without_a_test_split(tmp_path: Path, images: Path) -> None:
    (images / "val").rename(images / "other")
    path = study(tmp_path, fixed={"dataset": "images"})
    assert "has no val folder" in sentence("plan", path, "--root", str(tmp_path), "--data", f"images={images}")


def test_empty_class(tmp_path: Path, images: Path) -> None:
    (images / "train" / "dog" / "0.png").unlink()
    path = study(tmp_path, fixed={"dataset": "images"})
    said = sentence("plan", path, "--root", str(tmp_path), "--data", f"images={images}")
    assert "class dog in" in said
    assert "is empty" in said


def test_classes_that_differ(tmp_path: Path, images: Path) -> None:
    (images / "val" / "dog").rename(images / "val" / "horse")
    path = study(tmp_path, fixed={"dataset": "images"})
    said = sentence("plan", path, "--root", str(tmp_path), "--data", f"images={images}")
    assert "must have the same classes; only one has dog, horse" in said


PAIR = """
from ablate import Scale, Study

tiny = Scale({"dataset": "digits_shifted", "image_size": 12, "patch_size": 4, "dim": 16, "depth": 1, "heads": 2})
study = Study(question="Is it damaged?", axes={"mixer": ["attention", "none"]}, scales={"tiny": tiny}, seeds=1)
"""


def damaged(folder: Path, change: Callable[[bytes], bytes]) -> tuple[Path, Path]:
    """Return a study with two records, and the first of them, which was changed."""
    (folder / "studies").mkdir()
    path = folder / "studies" / "pair.py"
    path.write_text(PAIR)
    paths = [records.write(folder / "results", synthetic.record(run)) for run in load(path).runs()]
    paths[0].write_bytes(change(paths[0].read_bytes()))
    return path, paths[0]


def named(folder: Path, study: Path) -> str:
    """Return what `ablate table` says of a study with a damaged record, on one line."""
    result = invoke("table", str(study), "--root", str(folder))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{broken", "cannot read the record"),
        (b'{"schema": 99}', "must be at most 1 for this version of ablate, got 99"),
        (b"[1, 2]", "is not the record of a run"),
        (b'{"schema": 1}', "lacks key, run"),
    ],
)
def test_what_is_wrong_with_a_record(tmp_path: Path, content: bytes, words: str) -> None:
    study, _ = damaged(tmp_path, lambda _: content)
    assert words in named(tmp_path, study)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("metrics", {}, "lacks metrics.top1, metrics.loss, metrics.n"),
        ("run", [], "lacks run"),
        ("cost", None, "lacks cost"),
        ("dataset", {}, "lacks dataset.fingerprint"),
    ],
)
def test_what_is_wrong_inside_a_record(tmp_path: Path, part: str, value: object, words: str) -> None:
    study, path = damaged(tmp_path, lambda content: orjson.dumps({**orjson.loads(content), part: value}))
    said = named(tmp_path, study)
    assert words in said
    assert str(path) in said


@pytest.mark.parametrize("command", ["plan", "run", "status", "table", "plot", "report"])
def test_root_that_is_a_file(tmp_path: Path, command: str) -> None:
    (tmp_path / "mine").write_text("mine")
    assert "the root must be a folder, got the file" in sentence(
        command, "quickstart", "--root", str(tmp_path / "mine")
    )
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("command", [["plot", "--plot", "accuracy_params"], ["report"]], ids=" ".join)
def test_reports_that_are_a_file(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "reports").write_text("mine")
    records.write(tmp_path / "results", synthetic.record(load("quickstart").runs()[0]))
    assert "reports" in sentence(*command, "quickstart", "--root", str(tmp_path))
    assert (tmp_path / "reports").read_text() == "mine"


def test_nothing_to_draw_is_a_sentence(tmp_path: Path) -> None:
    assert "quickstart has no results to draw; first: ablate run quickstart" in sentence(
        "plot", "quickstart", "--root", str(tmp_path)
    )


def test_a_study_that_exits_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit(5)\n")
    result = invoke("plan", str(tmp_path / "leaving.py"))
    assert result.exit_code == 2
    assert "leaving.py, line 1: SystemExit: 5" in result.stderr


def test_one_broken_study_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "broken.py").write_text("nonsense = undefined\n")
    result = invoke("list")
    assert result.exit_code == 0
    assert "quickstart" in result.stdout
    assert "broken.py, line 1: NameError" in result.stdout


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("digits_shifted=/nope", "got digits_shifted, which comes with an installed package"),
        ("foo=/nope", "a dataset that the study uses (digits_shifted), got foo"),
    ],
)
def test_data_that_no_run_uses(tmp_path: Path, value: str, words: str) -> None:
    assert words in sentence("run", "quickstart", "--root", str(tmp_path), "--data", value)


@pytest.mark.parametrize("key", ["/x", "*", "["])
def test_invalid_log_names(tmp_path: Path, key: str) -> None:
    (tmp_path / "runs" / "abc").mkdir(parents=True)
    (tmp_path / "runs" / "abc" / "log.txt").write_text("one\n")
    assert "known runs: abc" in sentence("logs", key, "--root", str(tmp_path))


def test_a_copy_of_a_record_is_passed_over(tmp_path: Path) -> None:
    study, path = damaged(tmp_path, lambda content: content)
    copy = tmp_path / "results" / "copy" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    result = invoke("run", str(study), "--on", "inline", "--root", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert f"passed over, because they are not records: {copy} (beside {path})" in " ".join(result.output.split())
    assert path.read_bytes() == copy.read_bytes()


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """This process without the privileges of root."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_results_that_cannot_be_written(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = records.write(tmp_path / "results", synthetic.record(load("quickstart").runs()[0]))
    (tmp_path / "results").chmod(0o555)
    request.getfixturevalue("unprivileged")
    said = sentence("run", "quickstart", "--root", str(tmp_path))
    assert "cannot write in" in said
    assert "Permission denied" in said
    assert orjson.loads(path.read_bytes())["schema"] == 1


def test_results_that_are_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    assert "cannot write in" in sentence("run", "quickstart", "--root", str(tmp_path))
    assert (tmp_path / "results").read_text() == "mine"


def test_unknown_log(tmp_path: Path) -> None:
    assert "there is no log of a run 'abc'; known runs: none" in sentence("logs", "abc", "--root", str(tmp_path))


def test_unknown_plot(tmp_path: Path) -> None:
    said = sentence("plot", "quickstart", "--root", str(tmp_path), "--plot", "acuracy_params")
    assert "did you mean 'accuracy_params'?" in said


def test_new_rejects_an_existing_or_invalid_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("new", "mine").exit_code == 0
    before = (tmp_path / "studies" / "mine.py").read_text()
    assert "exists" in sentence("new", "mine")
    assert (tmp_path / "studies" / "mine.py").read_text() == before
    assert "must have only letters" in sentence("new", "my study")
