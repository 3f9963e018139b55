"""Verification: what was edited, removed or added after the report was written, or in the records, is found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.report import render
from ablate.report.manifest import Manifest
from ablate.report.verification import Verification, verify
from ablate.spec.errors import SpecError
from ablate.store import records
from ablate.store.root import Root
from tests.fixtures.fixture_study import __file__ as STUDY
from tests.measure.fake import measurement
from tests.synthetic import ROOT, fixture_study, record

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plots")]


@pytest.fixture
def written(fixture_root: Root) -> Path:
    """The folder of a report of the fixture records."""
    return render(fixture_study(), "digits", fixture_root, models=False).parent


@pytest.fixture
def verified(written: Path, fixture_root: Root) -> Callable[[], Verification]:
    """Return a function that verifies that report against the current records."""
    return lambda: verify(written, fixture_root, fixture_study())


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


def test_a_report_holds(verified: Callable[[], Verification]) -> None:
    found = verified()
    assert found.holds
    assert found.differences == []
    assert found.figures == 2
    assert found.numbers > 100
    assert ("missing", "not measured: none, seed 2") in [(one.kind, one.sentence) for one in found.findings]


def test_it_holds_where_the_runs_folder_is_not(written: Path, fixture_root: Root) -> None:
    missing = fixture_study().runs("digits")[-1]
    folder = fixture_root.run_folder(missing.key)
    folder.mkdir()
    (folder / "log.txt").write_text("a log")
    render(fixture_study(), "digits", fixture_root, models=False)
    shutil.rmtree(fixture_root.runs)
    assert verify(written, fixture_root, fixture_study()).holds


@pytest.mark.parametrize(
    ("name", "pattern", "where"),
    [
        ("index.html", r">(\d\d\.\d\d) ± [\d.]+</a>", "Comparison, attention, Test top-1 (%)"),
        ("index.html", r'tabindex="-1" href="[^"]*json">(\d\d\.\d\d)</a>', "Runs, attention, Test top-1 (%)"),
        ("index.html", r"<p>(Patch FF) stays within", "Does a small vision transformer need attention"),
        ("index.html", r'data-value="(\d\d\.\d+)"', "markup"),
        ("index.html", r'href="(#runs-1)"', "markup"),
        ("table.csv", r"attention,\d+(\d)", "table.csv, attention, params"),
        ("table.csv", r"attention,.*,(\d\d\.\d+)", "table.csv, attention"),
        ("runs.csv", r"digits_shifted,(\d+)", "runs.csv"),
        ("runs.csv", r"(?m)^.*?,\d+\.\d\d(\d)", "runs.csv"),
        ("table.md", r"(\d\d\.\d\d) ±", "table.md, line 3"),
        ("table.tex", r"(\d\d\.\d\d) ", "table.tex, line"),
        ("report.md", r"(8 of 9) runs", "report.md, line 3"),
        ("report.md", r"\d\d\.\d(\d) ±", "report.md, line"),
        (
            "figures.json",
            r'"label":"seeds of attention","x":\[(\d+)',
            "accuracy_params 1, lines 1 (seeds of attention), x 1",
        ),
        ("figures.json", r'"label":"patch_ff","x":\[\d+\.\d\],"y":\[\d\d\.(\d)', "lines 4 (patch_ff), y 1"),
        ("figures.json", r'"label":"(Test) top-1', "accuracy_params 1, y, label is"),
        ("figures.json", r'"text":"(attention)"', "accuracy_params 1, texts 1, text is"),
        ("figures.json", r'"(training_loss)":', "figures.json has 7raining_loss, for which the records give nothing"),
    ],
)
def test_an_edited_cell_is_found(
    written: Path, verified: Callable[[], Verification], name: str, pattern: str, where: str
) -> None:
    text = (written / name).read_text(encoding="utf-8")
    value = re.search(pattern, text)
    assert value is not None
    start, end = value.span(1)
    (written / name).write_text(text[:start] + "7" + text[start + 1 : end] + text[end:], encoding="utf-8")
    found = verified()
    assert not found.holds
    assert where in found.differences[0]


def test_an_edited_download_is_found(written: Path, verified: Callable[[], Verification]) -> None:
    edit(
        written / "index.html",
        'href="data:text/csv;charset=utf-8;base64,',
        'href="data:text/csv;charset=utf-8;base64,AAAA',
    )
    assert any("inside the page" in sentence for sentence in verified().differences)


def edit_figures(folder: Path, change: Callable[[Any], object]) -> None:
    """Change the data of a report's figures."""
    path = folder / "figures.json"
    figures = orjson.loads(path.read_bytes())
    change(figures)
    path.write_bytes(orjson.dumps(figures))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda all_: all_.pop("accuracy_params"), "figures.json lacks accuracy_params, which the records give"),
        (lambda all_: all_["training_loss"][0]["lines"].pop(), "lines 3 (none) is nothing"),
        (lambda all_: all_["training_loss"][0]["areas"].pop(0), "areas 1 (seeds of attention), label is"),
        (lambda all_: all_["training_loss"][0]["lines"][0]["y"].pop(), "lines 1 (attention), y 6 is nothing"),
        (
            lambda all_: all_["training_loss"][0].update(title="Loss"),
            "title is 'Loss'; the records give 'Training loss'",
        ),
        (lambda all_: all_["training_loss"].append({}), "training_loss 2 is {}; the records give nothing"),
    ],
)
def test_figures_with_more_or_less_than_there_is_are_found(
    written: Path, verified: Callable[[], Verification], change: Callable[[Any], object], told: str
) -> None:
    edit_figures(written, change)
    (difference,) = verified().differences
    assert told in difference


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_data_of_figures_that_cannot_be_read_is_found(
    written: Path, verified: Callable[[], Verification], text: str
) -> None:
    (written / "figures.json").write_text(text)
    assert "figures.json" in verified().differences[0]


def test_a_report_without_its_page_and_its_pictures_holds(written: Path, verified: Callable[[], Verification]) -> None:
    for path in written.iterdir():
        if path.suffix in (".html", ".svg", ".png") and path.name != "accuracy_params.png":
            path.unlink()
    assert verified().holds
    (written / "accuracy_params.png").unlink()
    assert verified().differences == ["accuracy_params.png is missing"], "report.md shows it"


def test_pictures_are_not_compared(written: Path, verified: Callable[[], Verification]) -> None:
    edit(written / "accuracy_params.svg", "fill: ", "fill:  ")
    edit(written / "index.html", '<path d="M', '<path d="M 1 1 M')
    (written / "accuracy_params.png").write_bytes(b"another processor's")
    assert verified().holds


def test_a_picture_of_a_plot_that_has_nothing_to_show_is_found(root: Root) -> None:
    folder = render(fixture_study(), "digits", root, models=False).parent
    assert verify(folder, root, fixture_study()).holds
    (folder / "training_loss.png").touch()
    (told,) = verify(folder, root, fixture_study()).differences
    assert told == "training_loss.png must not exist: the records give nothing to show in this plot"


def test_a_missing_file_is_found(written: Path, verified: Callable[[], Verification]) -> None:
    (written / "table.csv").unlink()
    assert verified().differences == ["table.csv is missing"]


def test_an_edited_record_is_found(fixture_root: Root, verified: Callable[[], Verification]) -> None:
    key = edit_record(fixture_root)
    found = verified()
    assert not found.holds
    assert re.fullmatch(rf"the record {key} \(.*\) was edited after the report was written", found.differences[0])
    assert len(found.differences) > 1


def test_an_edited_record_is_found_in_a_report_of_its_own(fixture_root: Root) -> None:
    with_checksums(fixture_root)
    key = edit_record(fixture_root)
    folder = render(fixture_study(), "digits", fixture_root, models=False).parent
    found = verify(folder, fixture_root, fixture_study())
    assert found.differences == []
    assert not found.holds
    assert found.findings[0].kind == "edited"
    assert key in found.findings[0].sentence
    assert "the checksum does not match the record of" in (folder / "index.html").read_text()


def test_a_truncated_record_is_found(fixture_root: Root, verified: Callable[[], Verification]) -> None:
    path = next(iter(records.index(fixture_root.results).values()))
    path.write_bytes(path.read_bytes()[:100])
    found = verified()
    assert not found.holds
    assert found.findings[0].kind == "damaged"
    assert found.findings[0].sentence.startswith(f"cannot read the record results/digits_shifted/{path.name}")


def test_a_removed_record_is_found(fixture_root: Root, verified: Callable[[], Verification]) -> None:
    key, path = next(iter(records.index(fixture_root.results).items()))
    path.unlink()
    assert verified().differences[0].startswith(f"the record {key} (")
    assert "was removed" in verified().differences[0]


def test_an_added_record_is_found(fixture_root: Root, verified: Callable[[], Verification]) -> None:
    last = fixture_study().runs("digits")[-1]
    records.write(fixture_root.results, record(last))
    found = verified()
    assert not found.holds
    assert found.differences[0] == f"the record {last.key} (none, seed 2) was added after the report was written"


def test_a_measurement_of_speed_that_changes_is_found(fixture_root: Root) -> None:
    folder = fixture_root.results / "speed" / "a-cpu"
    path = speed_record.write(folder, measurement(of_study(fixture_study(), "digits")[0], [100.0, 101.0]))
    written = render(fixture_study(), "digits", fixture_root, models=False).parent
    assert verify(written, fixture_root, fixture_study()).holds
    edit(path, "101.0", "109.0")
    found = verify(written, fixture_root, fixture_study())
    assert found.findings[0].kind == "damaged"
    assert found.findings[0].sentence.startswith(
        f"the measurement results/speed/a-cpu/{path.name} was edited or damaged"
    )
    speed_record.write(folder, measurement(of_study(fixture_study(), "digits")[0], [100.0, 109.0]))
    found = verify(written, fixture_root, fixture_study())
    assert found.differences[0] == f"the measurement speed/a-cpu/{path.name} was edited after the report was written"


def test_a_record_of_another_study_changes_nothing(fixture_root: Root, verified: Callable[[], Verification]) -> None:
    other = fixture_study().runs("digits")[0].replace(depth=5)
    records.write(fixture_root.results, record(other))
    assert verified().holds


def test_last_digits_of_floats_may_differ(written: Path, verified: Callable[[], Verification]) -> None:
    """Sums and fits depend on the processor; a thousandth of a percent is no finding."""
    text = (written / "table.csv").read_text()
    long = re.search(r"\d\d\.\d{10,}", text)
    assert long is not None
    (written / "table.csv").write_text(text.replace(long[0], f"{float(long[0]) * (1 + 5e-6)!r}", 1))
    assert verified().holds
    (written / "table.csv").write_text(text.replace(long[0], f"{float(long[0]) * (1 + 5e-5)!r}", 1))
    assert "table.csv" in verified().differences[0]


def test_what_was_put_into_a_page_is_found(written: Path, verified: Callable[[], Verification]) -> None:
    edit(written / "index.html", "<h2 id=", "<p>It is all true.</p><h2 id=")
    assert "It is all true." in verified().differences[0]


def test_a_folder_that_is_no_report(written: Path, fixture_root: Root) -> None:
    edit(written / "manifest.json", '"schema": 1', '"schema": 0')
    with pytest.raises(SpecError, match="must be a manifest of schema 1; write it again"):
        verify(written, fixture_root)
    (written / "manifest.json").unlink()
    with pytest.raises(SpecError, match=r"cannot read .*manifest.json: .*; write it again: ablate report"):
        verify(written, fixture_root)
    with pytest.raises(SpecError, match="must be the folder of a report, got no folder"):
        verify(written / "none", fixture_root)


def test_the_manifest_comes_back(written: Path) -> None:
    manifest = Manifest.read(written)
    assert set(manifest.records) == set(records.index(ROOT.results))
    assert manifest.study == "fixture_study.py"
    assert "matplotlib" in manifest.drawn_with
    (written / "manifest.json").write_text(manifest.as_json())
    assert Manifest.read(written) == manifest


def test_the_command(written: Path, fixture_root: Root) -> None:
    words = ["verify", "--study", STUDY, "--root", str(fixture_root.path)]
    for names in ([], [written.name], [str(written)]):
        done = CliRunner().invoke(app, [*words, *names])
        assert done.exit_code == 0, done.output
        assert done.output.startswith("fixture_study-digits: matches (")
    edit(written / "report.md", "8 of 9", "9 of 9")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "DOES NOT MATCH" in done.output
    (told,) = orjson.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert told["holds"] is False
    assert told["report"] == "fixture_study-digits"


def test_the_command_without_a_report(root: Root) -> None:
    done = CliRunner().invoke(app, ["verify", "--root", str(root.path)])
    assert done.exit_code == 2
    assert "has no report" in done.output
