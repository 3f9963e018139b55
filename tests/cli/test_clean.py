"""`ablate clean` says what would go, asks, and removes only then."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ablate import job, load, records
from ablate.cli import app
from ablate.paths import Root
from ablate.resources import Resources
from tests import synthetic
from tests.tiny import TINY

UNWANTED = TINY.but(dim=32)


def said(*words: str, answer: str = "", code: int = 0) -> str:
    result = CliRunner().invoke(app, ["clean", *words], input=answer)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def used(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a folder that no study asks for, and a finished run of the quickstart with a checkpoint left."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    wanted = load("quickstart").runs()[0]
    records.write(root.results, synthetic.record(wanted))
    for run in (wanted, UNWANTED):
        job.request(root, run, Resources())
        folder = root.run_folder(run.key) / "checkpoints"
        folder.mkdir()
        (folder / "0001-000000001.pt").write_bytes(bytes(1_500_000))
    return root.path


def unwanted(root: Path) -> Path:
    return root / "runs" / UNWANTED.key


def test_it_says_what_and_removes_nothing_with_dry_run(used: Path) -> None:
    shown = said("--root", str(used), "--dry-run")
    assert "1.5 MB  1       checkpoints of runs that have their record" in shown
    assert "folders of runs that no study asks for" in shown
    assert f"no study asks for {unwanted(used)}" in shown
    assert "3.0 MB  2       in all" in shown
    assert shown.endswith("nothing was removed\n")
    assert unwanted(used).exists()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_it_asks(used: Path, answer: str) -> None:
    assert said("--root", str(used), answer=answer).endswith("nothing was removed\n")
    assert unwanted(used).exists()


@pytest.mark.parametrize(("words", "answer"), [((), "y\n"), (("--yes",), "")])
def test_it_removes_what_was_agreed_to(used: Path, words: tuple[str, ...], answer: str) -> None:
    assert said("--root", str(used), *words, answer=answer).endswith("removed\n")
    assert not unwanted(used).exists()
    wanted = load("quickstart").runs()[0]
    assert [path.name for path in (used / "runs" / wanted.key).iterdir()] == ["run.json"]
    assert set(records.index(used / "results")) == {wanted.key}
    assert said("--root", str(used)) == "there is nothing that no study needs\n"


def test_json_removes_nothing_unless_told(used: Path) -> None:
    content = orjson.loads(said("--root", str(used), "--json"))
    assert not content["removed"]
    assert {(one["kind"], Path(one["path"]).name) for one in content["leftovers"]} == {
        ("checkpoints", "checkpoints"),
        ("runs", UNWANTED.key),
    }
    assert sum(one["bytes"] for one in content["leftovers"]) > 3_000_000
    assert unwanted(used).exists()
    assert orjson.loads(said("--root", str(used), "--json", "--yes"))["removed"]
    assert not unwanted(used).exists()


STUDY = """
from ablate import Scale, Study

fields = {FIELDS}
study = Study(question="Is it kept?", axes={}, scales={"tiny": Scale(fields)})
"""


@pytest.mark.parametrize("place", ["given", "beside"])
def test_the_runs_of_a_file_are_kept(used: Path, place: str) -> None:
    fields = {name: value for name, value in UNWANTED.fields().items() if name != "seed"}
    path = used / ("studies/mine.py" if place == "beside" else "mine.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(STUDY.replace("{FIELDS}", repr(fields)))
    given = [str(path)] if place == "given" else []
    assert "no study asks for" not in said("--root", str(used), "--dry-run", *given)


def test_a_study_that_cannot_be_read_stops_it(used: Path) -> None:
    path = used / "broken.py"
    path.write_text("study = nothing\n")
    shown = said("--root", str(used), "--yes", str(path), code=2)
    assert "NameError" in shown
    assert "wanted is that every study can be read, so that its runs are kept" in shown
    assert unwanted(used).exists()
