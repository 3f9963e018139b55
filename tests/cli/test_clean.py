"""`ablate clean` lists what it would delete, asks, and only then deletes."""

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

UNUSED = TINY.replace(dim=32)


def shown_by(*words: str, answer: str = "", code: int = 0) -> str:
    result = CliRunner().invoke(app, ["clean", *words], input=answer)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def used(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root with a run of no study, and a finished run of the quickstart that still has a checkpoint."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    wanted = load("quickstart").runs()[0]
    records.write(root.results, synthetic.record(wanted))
    for run in (wanted, UNUSED):
        worker.request(root, run, Resources())
        folder = root.run_folder(run.key) / "checkpoints"
        folder.mkdir()
        (folder / "0001-000000001.pt").write_bytes(bytes(1_500_000))
    return root.path


def unused(root: Path) -> Path:
    return root / "runs" / UNUSED.key


def test_a_dry_run_lists_and_deletes_nothing(used: Path) -> None:
    shown = shown_by("--root", str(used), "--dry-run")
    assert "1.5 MB  1       checkpoints of runs that have a record" in shown
    assert "folders of runs that no study contains" in shown
    assert f"runs: {unused(used)}" in shown
    assert "3.0 MB  2       total" in shown
    assert shown.endswith("nothing was deleted\n")
    assert unused(used).exists()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_it_asks(used: Path, answer: str) -> None:
    assert shown_by("--root", str(used), answer=answer).endswith("nothing was deleted\n")
    assert unused(used).exists()


@pytest.mark.parametrize(("words", "answer"), [((), "y\n"), (("--yes",), "")])
def test_it_deletes_what_was_confirmed(used: Path, words: tuple[str, ...], answer: str) -> None:
    assert shown_by("--root", str(used), *words, answer=answer).endswith("deleted\n")
    assert not unused(used).exists()
    wanted = load("quickstart").runs()[0]
    assert [path.name for path in (used / "runs" / wanted.key).iterdir()] == ["run.json"]
    assert set(records.index(used / "results")) == {wanted.key}
    assert shown_by("--root", str(used)) == "there are no unused files\n"


def test_json_deletes_nothing_without_yes(used: Path) -> None:
    content = orjson.loads(shown_by("--root", str(used), "--json"))
    assert not content["removed"]
    assert {(one["kind"], Path(one["path"]).name) for one in content["leftovers"]} == {
        ("checkpoints", "checkpoints"),
        ("runs", UNUSED.key),
    }
    assert sum(one["bytes"] for one in content["leftovers"]) > 3_000_000
    assert unused(used).exists()
    assert orjson.loads(shown_by("--root", str(used), "--json", "--yes"))["removed"]
    assert not unused(used).exists()


STUDY = """
from ablate import Scale, Study

fields = {FIELDS}
study = Study(question="Is it kept?", axes={}, scales={"tiny": Scale(fields)})
"""


@pytest.mark.parametrize("place", ["given", "under the root"])
def test_the_runs_of_a_file_are_kept(used: Path, place: str) -> None:
    fields = {name: value for name, value in UNUSED.to_dict().items() if name != "seed"}
    path = used / ("studies/mine.py" if place == "under the root" else "mine.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(STUDY.replace("{FIELDS}", repr(fields)))
    given = [str(path)] if place == "given" else []
    assert "runs: " not in shown_by("--root", str(used), "--dry-run", *given)


def test_a_study_that_cannot_be_loaded_stops_it(used: Path) -> None:
    path = used / "broken.py"
    path.write_text("study = nothing\n")
    shown = shown_by("--root", str(used), "--yes", str(path), code=2)
    assert "NameError" in shown
    assert "every study must load, so that its runs are kept" in shown
    assert unused(used).exists()


def tree(*folders: Path) -> set[Path]:
    """Return every path under some folders; links are not followed."""
    walks = [step for folder in folders for step in os.walk(folder)]
    return {Path(here, name) for here, below, names in walks for name in (*below, *names)}


def test_exactly_the_listed_paths_are_deleted(used: Path, tmp_path: Path) -> None:
    """With files of launches that name other folders, links to other folders, and the cache."""
    victim, launches, cache = tmp_path / "victim", used / "runs" / "launches", tmp_path / "cache" / "facts"
    for folder in (victim, launches / "X", cache):
        folder.mkdir(parents=True)
        (folder / "0123456789abcdef.json").write_text("{}")
    for name, leads in (("X", "../../../victim"), ("Y", str(victim))):
        content = {"name": leads, "logs": leads, "place": "local", "keys": [UNUSED.key], "owner": None, "jobs": {}}
        (launches / f"{name}.json").write_bytes(orjson.dumps(content))
    (launches / "Y").symlink_to(victim)
    (used / "runs" / UNUSED.replace(seed=1).key).symlink_to(victim)
    places = (used, tmp_path / "cache", victim)
    before, shown = tree(*places), shown_by("--root", str(used), "--dry-run")
    assert tree(*places) == before
    words = {word for line in shown.splitlines() for word in line.split()}
    listed = {path for path in before if str(path) in words}
    assert f"{launches / 'Y'} (a link)" in shown
    assert shown_by("--root", str(used), "--yes").endswith("deleted\n")
    gone = before - tree(*places)
    assert listed <= gone
    assert all(path in listed or not listed.isdisjoint(path.parents) for path in gone)
    assert tree(victim) == {victim / "0123456789abcdef.json"}
    assert {path.name for path in listed} >= {"X.json", "X", "Y.json", "Y", "0123456789abcdef.json", UNUSED.key}


def test_a_run_that_started_while_it_asked_is_kept(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers: list[Ledger] = []

    def confirm() -> bool:
        ledgers.append(Ledger(Root(used), "inline", [UNUSED.key]))
        return True

    monkeypatch.setattr("ablate.cli.clean._confirmed", confirm)
    shown = shown_by("--root", str(used))
    assert f"kept, because it is in use: {unused(used)}" in shown
    assert unused(used).exists()
    ledgers[0].leave()


def test_a_name_with_any_bytes_is_shown(used: Path) -> None:
    path = used / "runs" / "submitit" / "a\udcff\x1b[31m"
    path.parent.mkdir()
    path.touch()
    assert r"submitit/a\\xff" in shown_by("--root", str(used), "--json")
    assert r"submitit/a\udcff\x1b[31m" in shown_by("--root", str(used), "--yes")
    assert not path.exists()
