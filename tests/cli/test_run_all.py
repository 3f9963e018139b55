"""Every named study in one command; studies of speed, which have no runs; and the list of all."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app, listing
from ablate.dispatch import worker
from ablate.dispatch.detach import Detached
from ablate.measure.record import FOLDER
from ablate.measure.subjects import of_study
from ablate.results.inventory import summaries
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study import load as study_load
from tests import synthetic

STUDY = '''"""A study."""
from ablate import Claim, Scale, Study, exponent

SMALL = {"dim": 16, "depth": 1, "heads": 2, "image_size": 12, "patch_size": 4, "pool": "avg"}
study = Study(
    question="QUESTION?",
    axes={"mixer": MIXERS},
    scales={"tiny": Scale(SMALL), **MORE},
    seeds=2,
    EXTRA
)
'''
SPEED = 'benchmark_only=True, claims=[Claim("Linear", exponent() < 1.1)]'


def study(mixers: list[str], question: str = "Which", more: str = "{}", extra: str = "") -> str:
    parts = {"MIXERS": str(mixers), "QUESTION": question, "MORE": more, "EXTRA": extra}
    text = STUDY
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root with three studies that train and share runs, one that is measured, and a fake training."""
    folder = tmp_path / "studies"
    folder.mkdir()
    files = {
        "first": study(["attention", "none"]),
        "second": study(["attention", "pool"], more='{"wide": Scale(SMALL | {"dim": 32}, seeds=1)}'),
        "third": study(["none", "attention"]),
        "speed": study(["attention", "none"], extra=SPEED),
    }
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(study_load, "folders", lambda: [folder])
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    monkeypatch.setattr("ablate.report.render", lambda study, scale, *_, **__: Path(f"{study.name}-{scale}.html"))
    return tmp_path


def invoke(root: Path, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*words, "--root", str(root)])
    assert result.exit_code == code, result.output
    return result


def rows(shown: str) -> dict[str, list[str]]:
    """Return the rows of the last table, by their first word."""
    lines = shown[shown.index("STUDY") :].splitlines()[1:]
    return {line.split()[0]: line.split()[1:] for line in lines if line}


def test_all_studies_are_trained_one_after_the_other_and_shared_runs_once(root: Path) -> None:
    shown = invoke(root, "run", "--all", "--on", "inline").stdout
    assert "first at scale tiny, 1 of 3: Which?" in shown
    assert shown.count("done    ") == 6, "attention and none are shared"
    assert "skipped speed: it is measured, not trained: ablate bench speed" in shown
    table = rows(shown)
    assert [table[name][:4] for name in ("first", "second", "third")] == [["tiny", "4", "0", "0"]] * 3
    assert table["all"][:3] == ["6", "0", "0"]
    assert len(records.index(root / "results")) == 6


def test_only_the_studies_with_the_scale_are_trained(root: Path) -> None:
    shown = invoke(root, "run", "--all", "--scale", "wide", "--on", "inline").stdout
    assert "skipped first, speed, third: no scale wide" in shown
    assert rows(shown)["all"][:3] == ["2", "0", "0"]
    wrong = invoke(root, "run", "--all", "--scale", "huge", code=2)
    assert "no study trains at scale huge" in wrong.stderr


def test_as_json_is_one_document(root: Path) -> None:
    content = orjson.loads(invoke(root, "run", "--all", "--on", "inline", "--json").stdout)
    assert {one["study"]: one["done"] for one in content} == {"first": 4, "second": 4, "third": 4, "speed": 0}
    assert content[0]["report"] == "first-tiny.html"


def failing(run: Run, resources: Resources, *_: object) -> Record:
    if run.mixer == "attention" and run.seed == 1:
        raise RuntimeError("the disk is full")
    return synthetic.record(run)


def test_a_failure_does_not_stop_other_studies(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "execute", failing)
    (root / "studies" / "broken.py").write_text("x = 1 / 0\n")
    shown = invoke(root, "run", "--all", "--on", "inline", code=1).stdout
    assert rows(shown)["all"][:3] == ["5", "1", "0"]
    assert rows(shown)["third"][:4] == ["tiny", "3", "1", "0"]
    assert "the disk is full" in shown
    assert "failed broken: " in shown
    assert "ZeroDivisionError" in shown
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    (root / "studies" / "broken.py").unlink()
    invoke(root, "run", "--all", "--on", "inline", "--retry-failed")


def test_fail_fast_ends_after_the_first_failure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "execute", failing)
    shown = invoke(root, "run", "--all", "--on", "inline", "--fail-fast", code=1).stdout
    assert shown.endswith("not finished: second, third\n")


def test_wrong_data_is_rejected_before_training(root: Path) -> None:
    shown = invoke(root, "run", "--all", "--on", "inline", "--data", "cifar10=/nowhere", code=2)
    assert "--data must name a dataset that the study uses" in shown.stderr
    assert not records.index(root / "results")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_either_a_study_or_all_is_required(root: Path, command: str) -> None:
    assert f"{command} needs either a study or --all, got neither" in invoke(root, command, code=2).stderr
    assert (
        f"{command} needs either a study or --all, got both" in invoke(root, command, "first", "--all", code=2).stderr
    )


def test_one_background_process_runs_all_studies(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[list[str]] = []

    def supervise(_: Root, arguments: list[str]) -> Detached:
        requested.append(arguments)
        return Detached(pid=7, log="a.log")

    monkeypatch.setattr("ablate.cli._run_all.supervise", supervise)
    shown = invoke(root, "run", "--all", "--scale", "tiny", "--detach", "--jobs", "2").stdout
    assert "end it: kill 7" in shown
    assert requested[0][0] == "--all"
    assert {"--scale=tiny", "--jobs=2", "--on=local", f"--root={root}"} <= set(requested[0])


def test_a_plan_of_all_counts_shared_runs_once(root: Path) -> None:
    shown = invoke(root, "plan", "--all").stdout
    assert rows(shown)["third"] == ["tiny", "4", "4"]
    assert "6 of 6 runs to train; 6 more are shared" in shown
    content = orjson.loads(invoke(root, "plan", "--all", "--json").stdout)
    assert (content["runs"], len(content["missing"]), content["studies"][0]["missing"]) == (6, 6, 4)
    assert "--compare needs a study" in invoke(root, "plan", "--all", "--compare", code=2).stderr


def test_a_study_of_speed_shows_how_it_is_measured(root: Path) -> None:
    sentence = "it is measured, not trained: ablate bench speed"
    for command in ("run", "plan", "status"):
        assert sentence in invoke(root, command, "speed").stdout
    content = orjson.loads(invoke(root, "run", "speed", "--json").stdout)
    assert (content["runs"], content["report"]) == ([], "speed-tiny.html")
    assert "undecided" in invoke(root, "claims", "speed", code=3).stdout
    assert "attention" in invoke(root, "table", "speed").stdout


def test_the_list_counts_models_that_were_measured(root: Path) -> None:
    first, _ = of_study(load("speed"))
    measured = root / "results" / FOLDER / "a-cpu" / f"{first.key}-fp32-eager-nchw-inference-1.json"
    measured.parent.mkdir(parents=True)
    measured.write_text("{}")
    listed = {one["name"]: one for one in orjson.loads(invoke(root, "list", "--json").stdout)}
    assert listed["speed"]["benchmark_only"]
    assert listed["speed"]["scales"] == [
        {"name": "tiny", "variants": 2, "runs": 0, "done": 0, "models": 2, "measured": 1}
    ]
    assert "tiny 1/2" in invoke(root, "list").stdout


def test_the_list_shows_a_question_once(root: Path) -> None:
    shown = invoke(root, "list").stdout
    assert "second  2         tiny 0/4  wide 0/2\n    Which?\n" in shown


def test_the_list_fits_a_terminal(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "studies" / "long.py").write_text(study(["attention"], question="Does it " + "go on and on " * 9))
    monkeypatch.setattr(listing.sys.stdout, "isatty", lambda: True)
    for columns, row in (
        (60, "second  2         tiny 0/4  wide 0/2"),
        (30, "second  2         tiny 0/4\n" + 18 * " " + "wide 0/2"),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        listing.print_studies(summaries(Root(root)))
        shown = capsys.readouterr().out
        assert row + "\n" in shown
        assert max(map(len, shown.splitlines())) <= columns
