"""`ablate clean` says what would go, asks, and removes only then."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import worker
from ablate.dispatch.ledger import Ledger
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.store.root import Root
from tests import synthetic
from tests.tiny import TINY

UNWANTED = TINY.replace(dim=32)


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
        worker.request(root, run, Resources())
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
    fields = {name: value for name, value in UNWANTED.to_dict().items() if name != "seed"}
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


def tree(*folders: Path) -> set[Path]:
    """Every path in some folders, links as links."""
    walks = [step for folder in folders for step in os.walk(folder)]
    return {Path(here, name) for here, below, names in walks for name in (*below, *names)}


def test_every_path_is_listed_and_what_is_listed_is_what_goes(used: Path, tmp_path: Path) -> None:
    """Files of launches that name places outside, links to places outside, and the cache."""
    victim, launches, cache = tmp_path / "victim", used / "runs" / "launches", tmp_path / "cache" / "facts"
    for folder in (victim, launches / "X", cache):
        folder.mkdir(parents=True)
        (folder / "0123456789abcdef.json").write_text("{}")
    for name, leads in (("X", "../../../victim"), ("Y", str(victim))):
        content = {"name": leads, "logs": leads, "place": "local", "keys": [UNWANTED.key], "owner": None, "jobs": {}}
        (launches / f"{name}.json").write_bytes(orjson.dumps(content))
    (launches / "Y").symlink_to(victim)
    (used / "runs" / UNWANTED.replace(seed=1).key).symlink_to(victim)
    places = (used, tmp_path / "cache", victim)
    before, shown = tree(*places), said("--root", str(used), "--dry-run")
    assert tree(*places) == before
    words = {word for line in shown.splitlines() for word in line.split()}
    listed = {path for path in before if str(path) in words}
    assert f"{launches / 'Y'} (a link)" in shown
    assert said("--root", str(used), "--yes").endswith("removed\n")
    gone = before - tree(*places)
    assert listed <= gone
    assert all(path in listed or not listed.isdisjoint(path.parents) for path in gone)
    assert tree(victim) == {victim / "0123456789abcdef.json"}
    assert {path.name for path in listed} >= {"X.json", "X", "Y.json", "Y", "0123456789abcdef.json", UNWANTED.key}


def test_what_somebody_began_while_it_asked_stays(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers: list[Ledger] = []

    def agree() -> bool:
        ledgers.append(Ledger(Root(used), "inline", [UNWANTED.key]))
        return True

    monkeypatch.setattr("ablate.cli.clean._agreed", agree)
    shown = said("--root", str(used))
    assert f"kept, as somebody works on it: {unwanted(used)}" in shown
    assert unwanted(used).exists()
    ledgers[0].leave()


def test_a_name_of_any_bytes_is_shown(used: Path) -> None:
    path = used / "runs" / "submitit" / "a\udcff\x1b[31m"
    path.parent.mkdir()
    path.touch()
    assert r"submitit/a\\xff" in said("--root", str(used), "--json")
    assert r"submitit/a\udcff\x1b[31m" in said("--root", str(used), "--yes")
    assert not path.exists()
