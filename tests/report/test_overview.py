"""The page over all studies: what each asks, what came out, how far it is, and a study that fails hides no other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.report.verification import verify_overview
from ablate.store.records import index
from ablate.store.root import Root
from tests.fixtures.fixture_study import __file__ as STUDY

pytestmark = pytest.mark.usefixtures("few_plots")


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of studies, one measured, one whose file fails, with a hostile name for its error."""
    folder = tmp_path / "studies"
    folder.mkdir()
    shutil.copy(STUDY, folder / "measured.py")
    (folder / "broken.py").write_text("raise ValueError('<b>no</b>')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ablate.study.load.folders", lambda: [folder])
    return folder


def write_all(place: Root) -> str:
    done = CliRunner().invoke(app, ["report", "--all", "--no-compare", "--root", str(place.path)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == str(place.reports / "index.html")
    return (place.reports / "index.html").read_text(encoding="utf-8")


def test_what_is_measured_leads_to_its_report(studies: Path, fixture_root: Root) -> None:
    text = write_all(fixture_root)
    (link,) = re.findall(r'<a href="([^"]*)">digits</a>', text)
    assert (fixture_root.reports / link).is_file()
    assert "8 of 9 runs" in text
    assert "Does a small vision transformer need attention" in text
    for decision in ("supported", "contradicted"):
        assert f'class="decision {decision}"' in text


def test_a_study_that_fails_hides_no_other_and_is_escaped(studies: Path, fixture_root: Root) -> None:
    text = write_all(fixture_root)
    assert "cannot be loaded: " in text
    assert "<b>" not in text
    assert str(studies) not in text


def test_nothing_measured(studies: Path, root: Root) -> None:
    text = write_all(root)
    assert "Not measured: digits (9 runs)" in text
    assert not list(root.reports.glob("*/index.html"))


def test_it_repeats(studies: Path, fixture_root: Root) -> None:
    assert write_all(fixture_root) == write_all(fixture_root)


def test_verification_compares_it_with_the_records(studies: Path, fixture_root: Root) -> None:
    write_all(fixture_root)
    audit = ["verify", "--root", str(fixture_root.path)]
    done = CliRunner().invoke(app, audit)
    assert done.exit_code == 0, done.output
    assert "README.md: matches (" in done.output
    for name, told in (
        ("index.html", "the page shows “digits 9 of 9 runs”, the records give “digits 8 of 9 runs”"),
        ("README.md", "README.md, line 7, is"),
    ):
        path = fixture_root.reports / name
        before = path.read_text()
        path.write_text(before.replace("8 of 9 runs", "9 of 9 runs"))
        done = CliRunner().invoke(app, audit)
        assert done.exit_code == 1
        assert told in done.output
        path.write_text(before)
    assert "README.md" not in CliRunner().invoke(app, [*audit, "measured-digits"]).output


def test_the_table_one_reads_in_a_repository(studies: Path, fixture_root: Root) -> None:
    write_all(fixture_root)
    text = (fixture_root.reports / "README.md").read_text(encoding="utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith("| [measured]"))
    link, question, scale, verdicts, figure = (cell.strip() for cell in row.strip("|").split(" | "))
    assert link == "[measured](measured-digits/report.md)"
    assert question.startswith("Does a small vision transformer need attention")
    assert scale == "digits: 8 of 9 runs"
    assert re.fullmatch(r"\d supported, \d \w+", verdicts)
    (source,) = re.findall(r'<img src="([^"]+)"', figure)
    assert source == "measured-digits/accuracy_params.png"
    assert (fixture_root.reports / source).is_file()
    assert "broken cannot be loaded" in text
    assert "<b>" not in text.replace("\\<", "")
    (fixture_root.reports / "index.html").unlink()
    found = verify_overview(fixture_root)
    assert found is not None
    assert found.holds
    (fixture_root.reports / "measured-digits" / "figures.json").unlink()
    found = verify_overview(fixture_root)
    assert found is not None
    assert not found.holds


def test_verification_reports_a_damaged_record_again(studies: Path, fixture_root: Root) -> None:
    write_all(fixture_root)
    path = next(iter(index(fixture_root.results).values()))
    path.write_bytes(path.read_bytes()[:100])
    found = verify_overview(fixture_root)
    assert found is not None
    assert not found.holds
    assert [finding.sentence.split(":")[0] for finding in found.findings] == [
        f"cannot read the record {path.relative_to(fixture_root.path)}"
    ]


def test_without_an_index_there_is_nothing_to_hold(root: Root) -> None:
    assert verify_overview(root) is None


@pytest.mark.parametrize("words", [["report"], ["report", "measured", "--all"], ["report", "--all", "--seeds", "2"]])
def test_what_cannot_be_meant_is_a_sentence(studies: Path, words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "either a study or --all" in done.output or "--all cannot be combined with" in done.output
