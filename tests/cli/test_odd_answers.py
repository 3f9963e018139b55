"""Wrong words on the command line are answered with what to do, and suggested commands can be pasted into a shell."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.report import folder_of
from ablate.store import records
from tests import synthetic

HUGE = "99999999999999999999999"
STUDY = """
from ablate import DIGITS, Claim, Study, top1

study = Study(
    question="Which?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    fixed={"pool": "avg", "epochs": 5},
    scales={"digits": DIGITS},
    claims=[Claim("A", top1(mixer="patch_ff") - top1() > -5), Claim("B", top1() < 99)],
)
"""


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*words: str) -> str:
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", "run plan table report status claims plot cancel".split())  # noqa: SIM905
@pytest.mark.parametrize("seeds", ["1000000", HUGE])
def test_too_many_seeds(here: Path, command: str, seeds: str) -> None:
    assert f"seeds must be at most 10,000, got {seeds}" in refused(command, "quickstart", "--seeds", seeds)
    assert os.listdir(here) == []


@pytest.mark.parametrize("words", ["run --all", "plan --all", "table paper", "export x.csv --study quickstart"])
def test_too_many_seeds_of_several_studies(here: Path, words: str) -> None:
    assert f"seeds must be at most 10,000, got {HUGE}" in refused(*words.split(), "--seeds", HUGE)


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--workers", HUGE, "workers must be a finite number below 2**63"),
        ("--workers", "5000", "workers must be at most 4,096, got 5000"),
        ("--threads", "100000", "threads must be at most 4,096, got 100000"),
        ("--jobs", HUGE, f"--jobs must be at most 10,000, got {HUGE}"),
        ("--gpus-per-run", "100000", "gpus_per_run must be at most 4,096, got 100000"),
        ("--micro-batch", HUGE, "micro_batch must be a finite number"),
        ("--checkpoint-minutes", "nan", "checkpoint_minutes must be a finite number"),
    ],
)
def test_a_resource_beyond_its_limit(here: Path, command: str, option: str, value: str, words: str) -> None:
    assert words in refused(command, "quickstart", option, value)
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        ("run quickstart --on slum", "unknown value 'slum': did you mean 'slurm'? known are local, slurm, inline."),
        ("plan quickstart --on lokal", "did you mean 'local'?"),
        ("pln quickstart", "Did you mean 'plan'?"),
        ("run quikstart", "did you mean 'quickstart'?"),
        ("run quickstart --only atention", "unknown variant 'atention': did you mean 'attention'?"),
        ("run --all --only attention", "--only needs a study, got --all"),
        ("plot quickstart --plot heatmpa", "did you mean 'heatmap'?"),
        ("plot quickstart --format pgn", "did you mean 'png'?"),
        ("table quickstart --format mdd", "did you mean 'md'?"),
        ("data cifra10", "did you mean 'cifar10'?"),
        ("status quickstart --scale digts", "did you mean 'digits'?"),
        ("table quickstart --fromat md", "--format"),
    ],
)
def test_the_most_similar_name_is_suggested(here: Path, words: str, suggestion: str) -> None:
    assert suggestion in refused(*words.split())


@pytest.mark.parametrize("name", ["my study.py", "it's.py", "$HOME.py", "a;b.py"])
def test_a_suggested_command_is_quoted(here: Path, name: str) -> None:
    path = here / "some folder" / name
    path.parent.mkdir()
    path.write_text(STUDY)
    said = invoke("status", str(path)).stdout.splitlines()[-1]
    assert shlex.split(said.partition("left to train: ")[2]) == ["ablate", "run", str(path)]
    assert f"first: ablate run {shlex.quote(str(path))}" in refused("plot", str(path))


def test_studies_with_similar_names_have_their_own_reports(here: Path) -> None:
    names = []
    for name in ("a b.py", "a_b.py", "a$b.py"):
        (here / name).write_text(STUDY)
        names.append(folder_of(load(name), "digits"))
    assert names[1] == "a_b-digits"
    assert len(set(names)) == 3
    assert all(name.startswith("a_b-digits") for name in names)


def test_a_study_whose_name_is_like_an_option_is_refused(here: Path) -> None:
    (here / "--all.py").write_text(STUDY)
    assert "the name of a study must not begin with '-'" in refused("plan", "./--all.py")


def test_new_does_not_shadow_a_named_study(here: Path) -> None:
    assert "quickstart is a named study, which studies/quickstart.py would replace" in refused("new", "quickstart")
    assert not (here / "studies").exists()
    assert "at most 100" in refused("new", "a" * 300)
    assert invoke("new", "mine").exit_code == 0
    assert "studies/mine.py exists; choose another name" in refused("new", "mine")


def test_an_unknown_log_names_the_newest_runs(here: Path) -> None:
    runs = [here / "runs" / f"{at:010}" for at in range(28)]
    for at, folder in enumerate(runs):
        folder.mkdir(parents=True)
        (folder / "log.txt").touch()
        os.utime(folder / "log.txt", (at, at))
    fields = {"mixer": "attention", "dataset": "digits", "seed": 3}
    (runs[20] / "run.json").write_bytes(orjson.dumps({"run": fields, "resources": {}}))
    said = refused("logs", "zzz")
    assert "known runs: 0000000020 (attention on digits, seed 3), 0000000027, 0000000026, 0000000025" in said
    assert "and 23 older; the keys of a study: ablate status STUDY" in said


@pytest.fixture
def recorded(here: Path) -> Path:
    """A study with records of two seeds of each variant, without crossed axes."""
    path = here / "asked.py"
    path.write_text(STUDY)
    for at, run in enumerate(load(path).runs(seeds=2)):
        records.write(here / "results", synthetic.record(run, top1=80.0 + at * at))
    return path


def test_a_plot_with_nothing_to_draw_is_refused(recorded: Path) -> None:
    said = refused("plot", "asked.py", "--plot", "heatmap")
    assert "plot heatmap has nothing to draw: no two axes are crossed among the measured variants" in said
    assert "plot memory_batch has nothing to draw: " in refused("plot", "asked.py", "--plot", "memory_batch")
    assert not list(recorded.parent.rglob("*.png"))


def test_claims_in_json_are_those_of_the_text(recorded: Path) -> None:
    """Means and limits are of the expression, not minus the threshold."""
    first, second = orjson.loads(invoke("claims", "asked.py", "--json", "--seeds", "2").stdout)
    assert (first["threshold"], second["threshold"]) == (-5, 99)
    for one in (first, second):
        assert one["reason"].startswith(f"{one['mean']:.2f} ± {(one['high'] - one['low']) / 2:.2f}".replace("-", "−"))
        assert one["low"] < one["mean"] < one["high"]


def test_only_some_variants_are_trained(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded.write_text(
        STUDY.replace("DIGITS}", "DIGITS.replace(epochs=1, warmup_epochs=0)}").replace(', "epochs": 5', "")
    )
    options = ["--seeds", "1", "--on", "inline", "--root", "other"]
    result = invoke("run", "asked.py", "--only", "none", "--only", "patch_ff", *options)
    assert result.exit_code == 0, result.output
    found = sorted(record.run["mixer"] for record in records.read_all(Path("other/results")))
    assert found == ["none", "patch_ff"]
    assert "0/1" in result.stdout
    assert "1 of 3 runs left to train: ablate run asked.py" in result.stdout
    states = orjson.loads(invoke("status", "asked.py", "--seeds", "1", "--root", "other", "--json").stdout)
    assert [run["state"] for run in states] == ["waiting", "done", "done"]
