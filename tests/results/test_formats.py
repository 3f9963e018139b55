"""The comparison table: what people read, what machines read, and names that would break either."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import orjson
import pandas as pd
import pytest
from rich.console import Console

from ablate.results import formats
from ablate.results.formats import escape, spreadsheet, units
from ablate.results.formats.columns import COLUMNS, comparison
from ablate.results.formats.sheet import Column, Sheet
from ablate.results.table import study_frame, study_records, summarise, write
from ablate.spec.errors import SpecError
from tests.synthetic import GOLDEN, ROOT, fixture_study

RENEW = "the table changed; if it should have: python -m tests.fixtures.renew, and read the diff"


def summary(n_runs: int | None = None, wanted: int = 3) -> pd.DataFrame:
    """The summary of the first records of the fixture study."""
    study = fixture_study()
    found = study_records(study, "digits", ROOT.results)[:n_runs]
    return summarise(study_frame(study, "digits", found), wanted)


def test_the_fixture_records_give_the_golden_table() -> None:
    assert formats.as_markdown(summary()) == GOLDEN.read_text(encoding="utf-8"), RENEW


def test_fixture_records_say_that_they_are_synthetic() -> None:
    found = study_records(fixture_study(), "digits", ROOT.results)
    assert len(found) == 8, RENEW
    assert {record.provenance["host"] for record in found} == {"synthetic"}


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_names_every_variant(name: str) -> None:
    text = formats.render(summary(), name).replace("\\_", "_")
    assert all(variant in text for variant in ("attention", "patch_ff", "none"))
    assert text.endswith("\n")


def test_an_unknown_format_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="did you mean 'html'"):
        formats.render(summary(), "htm")


def test_one_seed_has_no_interval() -> None:
    control, *_ = comparison(summary(1)).cells()
    assert control[3:6] == ["1/3", "97.35", "control"]


def test_no_seed_is_not_measured() -> None:
    assert comparison(summary(0)).cells()[1] == ["patch_ff", "–", "–", "0/3", "not measured", "–", "–", "–"]


def test_more_seeds_than_wanted_are_just_counted() -> None:
    assert comparison(summary(wanted=2)).cells()[0][3] == "3"


@pytest.mark.parametrize("n_runs", [0, 1, 8])
def test_machines_get_full_precision(n_runs: int) -> None:
    table = summary(n_runs)
    rows = list(csv.DictReader(io.StringIO(formats.as_csv(table))))
    content = orjson.loads(formats.as_json(table))
    assert list(rows[0]) == list(content[0]) == [source for column in COLUMNS for source in column.sources]
    for row, entry, exact in zip(rows, content, table.to_dict("records"), strict=True):
        assert (float(row["top1"]) if row["top1"] else None) == entry["top1"]
        assert entry["top1"] == (exact["top1"] if exact["n"] else None)
        assert row["params"] == ("" if entry["params"] is None else str(entry["params"]))


def test_a_name_stays_a_name() -> None:
    name = r"<b>x</b> & $y_1$ | `z` 100 % #1 ~^{\a} [k]"
    table = summary().assign(variant=[name, "b", "c"])
    assert "&lt;b&gt;x&lt;/b&gt; &amp; $y_1$" in formats.as_html(table)
    assert r"\<b\>x\</b\> \& \$y_1\$ \| \`z\`" in formats.as_markdown(table)
    latex = formats.as_latex(table)
    assert r"\textless{}b\textgreater{}x" in latex
    assert (
        r"\$y\_1\$ \textbar{} `z` 100 \% \#1 \textasciitilde{}\textasciicircum{}\{\textbackslash{}a\} {[}k{]}" in latex
    )
    assert next(csv.DictReader(io.StringIO(formats.as_csv(table))))["variant"] == name


def test_a_link_is_escaped() -> None:
    shown = formats.as_html(summary(), {"none": '#"><script>'})
    assert "<script>" not in shown
    assert '<a href="#&quot;&gt;&lt;script&gt;">none</a>' in shown


@pytest.mark.parametrize(
    ("text", "markdown"), [("patch_ff", "patch_ff"), ("_x_", r"\_x\_"), ("a\n\tb", "a b"), ("a*b", r"a\*b")]
)
def test_markdown(text: str, markdown: str) -> None:
    assert escape.markdown(text) == markdown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (999, "999"),
        (1000, "1.0 k"),
        (136_842, "136.8 k"),
        (999_960, "1.0 M"),
        (5_717_416, "5.7 M"),
        (1.26e9, "1.3 G"),
    ],
)
def test_counts(value: float | None, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (59.96, "1 min 00 s"),
        (102.2, "1 min 42 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86_399, "1 d 00 h"),
        (274_000, "3 d 04 h"),
        (float("nan"), "–"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("mean", "low", "text"),
    [
        (96.114, 95.0, "96.11 ± 1.11"),
        (96.114, float("nan"), "96.11"),
        (50, 49.999, "50.00 ± <0.01"),
        (5, 5, "5.00 ± 0.00"),
    ],
)
def test_measured(mean: float, low: float, text: str) -> None:
    assert units.measured(mean, low) == text


def test_signs_are_signs() -> None:
    assert units.signed(-0.001, 2) == "+0.00"
    assert units.signed(-1234.5, 1) == "\N{MINUS SIGN}1,234.5"


def test_bytes_in_thousands() -> None:
    assert [units.size(value) for value in (0, 312, 128_400_000)] == ["0 B", "312 B", "128.4 MB"]


def test_an_average_of_the_weights_has_its_own_column_where_there_is_one() -> None:
    without = comparison(summary())
    table = summary().assign(ema_top1=[90.0, None, None], ema_top1_low=[89.0, None, None])
    shown = comparison(table)
    assert [c.title for c in shown.columns if c not in without.columns] == ["EMA top-1 (%)"]
    assert [line[5] for line in shown.cells()] == ["90.00 ± 1.00", "–", "–"]
    assert "ema_top1" in formats.as_csv(shown)
    assert "ema_top1" not in formats.as_csv(without)


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_cell_is_broken_where_its_table_fits(width: int) -> None:
    """Columns that can be spared go first, and heads are broken before cells are."""
    sheet = comparison(summary()).within(width)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(formats.terminal(comparison(summary()), width))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, shown.splitlines())) <= width
    if sheet.width() <= width:
        assert all(cell in shown for line in sheet.cells() for cell in line)
    assert ("Too wide for this terminal" in shown) == (len(sheet.columns) < len(COLUMNS))


def test_rules_stand_between_groups_alone() -> None:
    rows = [{"size": size, "name": name} for size, name in (("a", "1"), ("a", "2"), ("b", "3"))]
    columns = [Column("Name", ("name",), lambda row: str(row["name"]), words=True)]
    sheet = Sheet(columns, rows, pd.DataFrame(rows), ["A note."], group="size")
    assert formats.as_latex(sheet).splitlines()[4:9] == [r"\midrule", r"1 \\", r"2 \\", r"\midrule", r"3 \\"]
    assert "A note." in formats.as_latex(sheet)
    assert formats.render(sheet, "md").endswith("\nA note.\n")
    assert '<p class="note">A note.</p>' in formats.render(sheet, "html")
    assert formats.as_html(sheet).endswith("</table>\n"), "a page of one's own has notes of its own"


FORMULAS = ["=1+1", "@SUM(A1)", "+x", "-x", "\tx", "\rx", " =1", "\uff1d1"]


@pytest.mark.parametrize("label", FORMULAS)
def test_no_text_in_a_csv_file_is_a_formula(label: str, tmp_path: Path) -> None:
    found = pd.DataFrame({"variant": [label, "plain"], "difference": [-0.3, 0.5]})
    for text in (spreadsheet.as_text(found), spreadsheet.as_text(found.astype({"variant": "category"}))):
        (_, first, second) = csv.reader(text.splitlines())
        assert first[0].startswith("'")
        assert first[1] == "-0.3"
        assert second == ["plain", "0.5"]
    write(found, tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text(encoding="utf-8") == spreadsheet.as_text(found)


@pytest.mark.parametrize("label", ["plain", "-0.3", "+1", "1e-3", "a=b", "x-y"])
def test_other_texts_in_a_csv_file_are_unchanged(label: str) -> None:
    assert spreadsheet.as_text(pd.DataFrame({"variant": [label], "n": [1]})) == f"variant,n\n{label},1\n"


def test_control_characters_are_written_as_escapes() -> None:
    for format_ in (escape.markdown, escape.latex):
        assert "\x1b" not in format_("a\x1b[31mb")
    assert "\x1b" not in spreadsheet.as_text(pd.DataFrame({"variant": ["a\x1b[31mb"]}))
