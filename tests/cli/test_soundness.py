"""Edited, damaged and foreign records: every command that needs one says so, and no stray file stops a command."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import app
from ablate.report import render
from ablate.store import records
from ablate.store.root import Root
from ablate.study.study import Study
from tests import synthetic

STUDY = "quickstart"


@pytest.fixture(scope="module")
def study() -> Study:
    return load(STUDY)


@pytest.fixture
def place(root: Root, study: Study) -> Root:
    for run in study.runs():
        records.write(root.results, synthetic.record(run))
    return root


@pytest.fixture
def path(place: Root, study: Study) -> Path:
    """Return the record of a run of the second variant."""
    return records.path_of(place.results, study.variants()[1].run.replace(seed=1))


def invoke(root: Root, *words: str) -> Result:
    result = CliRunner().invoke(app, [*words, "--root", str(root.path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def edit(path: Path, old: bytes | None = None, new: bytes = b"") -> None:
    """Change a record as an editor would; by default, its top-1."""
    data = path.read_bytes()
    if old is None:
        old = b'"top1": ' + str(orjson.loads(data)["metrics"]["top1"]).encode()
        new = b'"top1": 99.0'
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


COMMANDS = {
    "plan": (["plan", STUDY], 2),
    "status": (["status", STUDY], 2),
    "status --json": (["status", STUDY, "--json"], 2),
    "table": (["table", STUDY], 2),
    "table --json": (["table", STUDY, "--json"], 2),
    "table --format md": (["table", STUDY, "--format", "md"], 2),
    "table --format csv": (["table", STUDY, "--format", "csv"], 2),
    "table --stats": (["table", STUDY, "--stats"], 2),
    "table --images": (["table", STUDY, "--images"], 2),
    "claims": (["claims", STUDY], 2),
    "claims --json": (["claims", STUDY, "--json"], 2),
    "plot": (["plot", STUDY, "--plot", "accuracy_params"], 2),
    "report": (["report", STUDY, "--no-compare"], 2),
    "list": (["list"], 2),
}


@pytest.mark.parametrize("damage", ["edited", "run edited", "cut"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_edited_or_damaged_record_is_named(
    place: Root, path: Path, command: str, damage: str, few_figures: None
) -> None:
    if damage == "cut":
        truncate(path)
    elif damage == "edited":
        edit(path)
    else:
        edit(path, b'"seed": 1', b'"seed": 9')
    words, code = COMMANDS[command]
    result = invoke(place, *words)
    assert result.exit_code == code, result.output
    assert path.stem in result.output
    assert "restore it, or move it away to train the run again" in result.output.replace("\n", " ")


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw one plot in a report."""
    from ablate.report import figures, files
    from ablate.report.plots import PLOTS

    for module in (figures, files):
        monkeypatch.setattr(module, "PLOTS", {"accuracy_params": PLOTS["accuracy_params"]})


def test_an_edited_record_counts_and_its_variant_is_marked(place: Root, path: Path, study: Study) -> None:
    edit(path)
    label = study.variants()[1].label
    assert f"{label} [edited]" in invoke(place, "table", STUDY).output
    rows = orjson.loads(invoke(place, "table", STUDY, "--json").stdout)
    assert [row["variant"] for row in rows if row["damage"]] == [label]
    assert [row["n"] for row in rows] == [study.seeds] * len(rows)


def test_a_damaged_record_does_not_count_and_its_variant_is_marked(place: Root, path: Path, study: Study) -> None:
    truncate(path)
    label = study.variants()[1].label
    assert f"{label} [damaged]" in invoke(place, "table", STUDY).output
    rows = orjson.loads(invoke(place, "table", STUDY, "--json").stdout)
    assert {row["variant"]: row["n"] for row in rows}[label] == study.seeds - 1


def test_status_says_damaged(place: Root, path: Path) -> None:
    edit(path)
    states = {one["key"]: one for one in orjson.loads(invoke(place, "status", STUDY, "--json").stdout)}
    assert {key for key, one in states.items() if one["state"] != "done"} == {path.stem}
    assert states[path.stem]["state"] == "damaged"
    assert "does not match its checksum" in states[path.stem]["error"]


@pytest.mark.parametrize("change", [edit, truncate])
def test_a_run_with_a_damaged_record_is_not_trained_again(
    place: Root, path: Path, change: object, few_figures: None
) -> None:
    change(path)  # type: ignore[operator]
    data = path.read_bytes()
    result = invoke(place, "run", STUDY, "--on", "inline")
    assert result.exit_code == 2
    assert f"damaged {load(STUDY).variants()[1].label}, seed 1: " in result.output
    assert path.read_bytes() == data
    assert not list(place.runs.glob("*/run.json"))
    assert not list(place.results.rglob("*.superseded"))


def test_a_damaged_record_of_another_study_is_a_remark(place: Root, path: Path) -> None:
    other = path.with_name("0123456789.json")
    other.write_bytes(b"{")
    result = invoke(place, "table", STUDY)
    assert result.exit_code == 0
    assert "damaged, but not of this study: 0123456789" in result.output


def test_a_record_of_other_data_does_not_count(place: Root, path: Path, study: Study) -> None:
    run = study.variants()[1].run.replace(seed=1)
    path.unlink()
    records.write(place.results, synthetic.record(run, dataset={"fingerprint": "0" * 16}))
    states = {one["key"]: one["state"] for one in orjson.loads(invoke(place, "status", STUDY, "--json").stdout)}
    assert states[run.key] == "waiting"
    result = invoke(place, "table", STUDY, "--json")
    assert {row["variant"]: row["n"] for row in orjson.loads(result.stdout)}[study.variants()[1].label] == 2
    assert result.exit_code == 0
    assert "left out, because the data have changed since: 1 record (" in invoke(place, "table", STUDY).output
    assert "left out, because the data have changed since" in invoke(place, "claims", STUDY).output


def test_a_record_of_other_data_is_set_aside_with_numbers_and_reason(
    place: Root, path: Path, study: Study, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ablate.dispatch.launch import prepare
    from ablate.dispatch.status import StatusMonitor
    from ablate.spec.resources import Resources

    run = study.variants()[1].run.replace(seed=1)
    path.unlink()
    records.write(place.results, synthetic.record(run, dataset={"fingerprint": "0" * 16}, metrics={"top1": 12.5}))
    assert prepare(place, StatusMonitor(place, study.runs()), Resources()) == [run]
    assert f"the record {path} (top-1 12.50 %) is of other data: its fingerprint is {'0' * 16}" in caplog.text
    assert f"set aside as {run.key}.00000000.superseded" in caplog.text


def test_seeds_that_another_study_trained_do_not_count(place: Root, study: Study) -> None:
    for variant in study.variants():
        records.write(place.results, synthetic.record(variant.run.replace(seed=study.seeds)))
    for words in (["table", STUDY], ["table", STUDY, "--stats"]):
        assert {row["n"] for row in orjson.loads(invoke(place, *words, "--json").stdout)} == {study.seeds}
        more = invoke(place, *words, "--seeds", str(study.seeds + 1), "--json")
        assert {row["n"] for row in orjson.loads(more.stdout)} == {study.seeds + 1}


def test_a_stray_file_stops_no_command(place: Root, path: Path) -> None:
    copy = path.with_name(f"{path.stem} (1).json")
    copy.write_bytes(path.read_bytes())
    for words in (["table", STUDY], ["table", STUDY, "--json"], ["status", STUDY], ["list"]):
        assert invoke(place, *words).exit_code == 0
    assert f"passed over, because they are not records: {copy}" in invoke(place, "table", STUDY).output


def test_a_report_is_not_replaced_by_one_with_fewer_rows(place: Root, study: Study, few_figures: None) -> None:
    page = render(study, study.scale(None), place, models=False)
    written = (page.parent / "table.csv").read_bytes()
    gone = records.path_of(place.results, study.runs()[0])
    for paths in ([gone], list(place.results.rglob("*.json"))):
        for path in paths:
            path.unlink(missing_ok=True)
        result = invoke(place, "report", STUDY, "--no-compare")
        assert result.exit_code == 2
        assert f"{study.variants()[0].label}, seed 0 ({gone.stem})" in result.output
        assert "was not replaced" in result.output
        assert (page.parent / "table.csv").read_bytes() == written
    assert invoke(place, "report", STUDY, "--no-compare", "--force").exit_code == 0
    assert (page.parent / "table.csv").read_bytes() != written


def test_all_reports_are_not_replaced_by_empty_ones(
    place: Root, study: Study, few_figures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablate.report.overview._studies", lambda: iter([study]))
    assert invoke(place, "report", "--all", "--no-compare").exit_code == 0
    index = (place.reports / "README.md").read_bytes()
    for path in place.results.rglob("*.json"):
        path.unlink()
    result = invoke(place, "report", "--all", "--no-compare")
    assert result.exit_code == 2
    assert "was not replaced" in result.output
    assert (place.reports / "README.md").read_bytes() == index


def test_verification_names_the_record_first_and_folds_what_follows(
    place: Root, path: Path, study: Study, few_figures: None
) -> None:
    folder = render(study, study.scale(None), place, models=False).parent
    edit(path)
    result = invoke(place, "verify", folder.name)
    assert result.exit_code == 1
    head, first, *rest = result.output.splitlines()
    assert "DOES NOT MATCH" in head
    assert path.stem in first
    assert "edited" in first
    assert len([line for line in rest if "follows" in line]) == 1
    assert not [line for line in rest if "differs" in line]
