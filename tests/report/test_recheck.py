"""The self-audit: a cell, figure or record that was edited, removed or added after the report was written is found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ablate import records, speed
from ablate.bench.subjects import of_study
from ablate.cli import app
from ablate.paths import Root
from ablate.registry import SpecError
from ablate.report import render
from ablate.report.manifest import Manifest
from ablate.report.recheck import Recheck, recheck
from tests.bench.fake import measurement
from tests.fixtures.fixture_study import __file__ as STUDY
from tests.synthetic import ROOT, fixture_study, record

pytestmark = pytest.mark.usefixtures("few_plots")


@pytest.fixture
def written(fixture_root: Root) -> Path:
    """The folder of a report of the fixture records."""
    return render(fixture_study(), "digits", fixture_root, models=False).parent


@pytest.fixture
def audited(written: Path, fixture_root: Root) -> Callable[[], Recheck]:
    """Holds that report against the records as they are now."""
    return lambda: recheck(written, fixture_root, fixture_study())


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def edit_record(place: Root, at: int = 0) -> str:
    """Raise the top-1 of a record, whose checksum stays; returns its key."""
    key, path = list(records.index(place.results).items())[at]
    content = orjson.loads(path.read_bytes())
    content["metrics"]["top1"] += 1
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return key


def with_checksums(place: Root) -> None:
    """The fixture records as they are written today."""
    shutil.rmtree(place.results)
    for run in fixture_study().runs("digits")[:-1]:
        records.write(place.results, record(run))


def test_a_report_holds(audited: Callable[[], Recheck]) -> None:
    found = audited()
    assert found.holds
    assert found.differences == []
    assert found.figures
    assert found.cells > 100
    assert ("missing", "not measured: none, seed 2") in [(one.kind, one.sentence) for one in found.findings]


def test_it_holds_where_the_runs_folder_is_not(written: Path, fixture_root: Root) -> None:
    missing = fixture_study().runs("digits")[-1]
    folder = fixture_root.run_folder(missing.key)
    folder.mkdir()
    (folder / "log.txt").write_text("a log")
    render(fixture_study(), "digits", fixture_root, models=False)
    shutil.rmtree(fixture_root.runs)
    assert recheck(written, fixture_root, fixture_study()).holds


@pytest.mark.parametrize(
    ("name", "pattern", "where"),
    [
        ("index.html", r">(\d\d\.\d\d) ± [\d.]+</a>", "Comparison, attention, Test top-1 (%)"),
        ("index.html", r'tabindex="-1" href="[^"]*json">(\d\d\.\d\d)</a>', "Runs, attention, Test top-1 (%)"),
        ("index.html", r"<p>(Patch FF) stays within", "Does a small vision transformer need attention"),
        ("index.html", r'data-value="(\d\d\.\d+)"', "markup"),
        ("index.html", r'href="(#runs-1)"', "markup"),
        ("index.html", r'<path d="(M [\d.]+)', "markup"),
        ("table.csv", r"attention,(\d+)", "table.csv, attention, params"),
        ("runs.csv", r"digits_shifted,(\d+)", "runs.csv"),
        ("table.md", r"(\d\d\.\d\d) ±", "table.md, line 3"),
        ("table.tex", r"(\d\d\.\d\d) ", "table.tex, line"),
        ("report.md", r"(8 of 9) runs", "report.md, line 3"),
    ],
)
def test_an_edited_cell_is_found(
    written: Path, audited: Callable[[], Recheck], name: str, pattern: str, where: str
) -> None:
    text = (written / name).read_text(encoding="utf-8")
    value = re.search(pattern, text)
    assert value is not None
    start, end = value.span(1)
    (written / name).write_text(text[:start] + "7" + text[start + 1 : end] + text[end:], encoding="utf-8")
    found = audited()
    assert not found.holds
    assert where in found.differences[0]


def test_an_edited_download_is_found(written: Path, audited: Callable[[], Recheck]) -> None:
    edit(
        written / "index.html",
        'href="data:text/csv;charset=utf-8;base64,',
        'href="data:text/csv;charset=utf-8;base64,AAAA',
    )
    assert any("inside the page" in sentence for sentence in audited().differences)


def test_an_edited_figure_is_found(written: Path, audited: Callable[[], Recheck]) -> None:
    edit(written / "accuracy_params.svg", "fill: ", "fill:  ")
    assert audited().differences == ["accuracy_params.svg is not the figure that the records give"]


def test_a_missing_file_is_found(written: Path, audited: Callable[[], Recheck]) -> None:
    (written / "table.csv").unlink()
    assert audited().differences == ["table.csv is missing"]


def test_an_edited_record_is_found(fixture_root: Root, audited: Callable[[], Recheck]) -> None:
    key = edit_record(fixture_root)
    found = audited()
    assert not found.holds
    assert re.fullmatch(rf"the record {key} \(.*\) was edited after the report was written", found.differences[0])
    assert len(found.differences) > 1


def test_an_edited_record_is_found_in_a_report_of_its_own(fixture_root: Root) -> None:
    with_checksums(fixture_root)
    key = edit_record(fixture_root)
    folder = render(fixture_study(), "digits", fixture_root, models=False).parent
    found = recheck(folder, fixture_root, fixture_study())
    assert found.differences == []
    assert not found.holds
    assert found.findings[0].kind == "edited"
    assert key in found.findings[0].sentence
    assert "the checksum does not fit the record of" in (folder / "index.html").read_text()


def test_a_truncated_record_is_found(fixture_root: Root, audited: Callable[[], Recheck]) -> None:
    path = next(iter(records.index(fixture_root.results).values()))
    path.write_bytes(path.read_bytes()[:100])
    found = audited()
    assert not found.holds
    assert [finding.kind for finding in found.findings] == ["damaged"]
    assert found.findings[0].sentence.startswith(f"cannot read the record results/digits_shifted/{path.name}")


def test_a_removed_record_is_found(fixture_root: Root, audited: Callable[[], Recheck]) -> None:
    key, path = next(iter(records.index(fixture_root.results).items()))
    path.unlink()
    assert audited().differences[0].startswith(f"the record {key} (")
    assert "is gone" in audited().differences[0]


def test_an_added_record_is_found(fixture_root: Root, audited: Callable[[], Recheck]) -> None:
    last = fixture_study().runs("digits")[-1]
    records.write(fixture_root.results, record(last))
    found = audited()
    assert not found.holds
    assert found.differences[0] == f"the record {last.key} (none, seed 2) came after the report was written"


def test_a_measurement_of_speed_that_changes_is_found(fixture_root: Root) -> None:
    folder = fixture_root.results / "speed" / "a-cpu"
    path = speed.write(folder, measurement(of_study(fixture_study(), "digits")[0], [100.0, 101.0]))
    written = render(fixture_study(), "digits", fixture_root, models=False).parent
    assert recheck(written, fixture_root, fixture_study()).holds
    edit(path, "101.0", "109.0")
    found = recheck(written, fixture_root, fixture_study())
    assert found.differences[0] == f"the measurement speed/a-cpu/{path.name} was edited after the report was written"


def test_a_record_of_another_study_changes_nothing(fixture_root: Root, audited: Callable[[], Recheck]) -> None:
    other = fixture_study().runs("digits")[0].but(depth=5)
    records.write(fixture_root.results, record(other))
    assert audited().holds


def test_elsewhere_values_are_compared(
    written: Path, audited: Callable[[], Recheck], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other versions of matplotlib, figures differ, and last digits may."""
    monkeypatch.setattr("ablate.report.manifest.versions", lambda: {"matplotlib": "9.9"})
    monkeypatch.setattr("ablate.report.content.versions", lambda: {"matplotlib": "9.9"})
    edit(written / "accuracy_params.svg", "fill: ", "fill:  ")
    edit(written / "index.html", '<path d="M', '<path d="M 1 1 M')
    text = (written / "table.csv").read_text()
    long = re.search(r"\d\d\.\d{10,}", text)
    assert long is not None
    (written / "table.csv").write_text(text.replace(long[0], long[0][:-1] + "0", 1))
    found = audited()
    assert found.holds
    assert not found.figures
    edit(written / "index.html", "8 of 9", "9 of 9")
    assert "the page says “9 of 9" in audited().differences[0]


def test_what_was_put_into_a_page_is_found(written: Path, audited: Callable[[], Recheck]) -> None:
    edit(written / "index.html", "<h2 id=", "<p>It is all true.</p><h2 id=")
    assert "It is all true." in audited().differences[0]


def test_a_page_that_is_no_report(written: Path, fixture_root: Root) -> None:
    edit(written / "index.html", 'id="manifest"', 'id="other"')
    with pytest.raises(SpecError, match="cannot be audited: it does not say what it was made from"):
        recheck(written, fixture_root)
    with pytest.raises(SpecError, match="cannot read a report in"):
        recheck(written / "none", fixture_root)


def test_the_manifest_comes_back_whatever_it_holds(written: Path) -> None:
    text = (written / "index.html").read_text()
    manifest = Manifest.of_page(text)
    assert set(manifest.records) == set(records.index(ROOT.results))
    assert manifest.study == "fixture_study.py"
    hostile = Manifest(**{**vars(manifest), "failures": {"a": "</script><b>"}})
    block = f'<script type="application/json" id="manifest">\n{hostile.as_json()}\n</script>'
    assert "</script><b>" not in block
    assert Manifest.of_page(block).local.failures == {"a": "</script><b>"}


def test_the_command(written: Path, fixture_root: Root) -> None:
    words = ["audit", "--study", STUDY, "--root", str(fixture_root.path)]
    for names in ([], [written.name], [str(written)]):
        done = CliRunner().invoke(app, [*words, *names])
        assert done.exit_code == 0, done.output
        assert done.output.startswith("fixture_study-digits: holds (")
    edit(written / "index.html", "8 of 9", "9 of 9")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "DOES NOT HOLD" in done.output
    (told,) = orjson.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert told["holds"] is False
    assert told["report"] == "fixture_study-digits"


def test_the_command_without_a_report(root: Root) -> None:
    done = CliRunner().invoke(app, ["audit", "--root", str(root.path)])
    assert done.exit_code == 2
    assert "there is no report in" in done.output
