"""The report of a study: its files, that they repeat, and that it says what is missing or mixed."""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ablate import Claim, Scale, Study, exponent, top1
from ablate.dispatch.notes import note_failure
from ablate.measure import record as speed_record
from ablate.measure.subjects import of_study
from ablate.report import figures, files, gather, render
from ablate.report.opening import SHOWN
from ablate.report.plots import PLOTS
from ablate.spec.printable import UNSAFE
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests.measure.fake import measurement
from tests.synthetic import ROOT, fixture_study, record

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_plots")]

SCRIPT = "<script>alert('x')</script>"
SMALL = {"epochs": 3, "image_size": 16, "patch_size": 4, "heads": 4, "dim": 64, "depth": 4, "pool": "avg"}


def hostile() -> Study:
    """A study that writes markup wherever it can write text."""
    labels = {SCRIPT: {"mixer": "attention"}, '"><img src=x>': {"mixer": "none"}, "</title>": {"mixer": "pool"}}
    return Study(
        name="hostile",
        question=f"Is {SCRIPT} harmless?",
        axes={"mixer": labels},
        scales={"../<s>": Scale(SMALL, expect=SCRIPT)},
        claims=[Claim(f"{SCRIPT} is better", top1(SCRIPT) > top1('"><img src=x>'))],
    )


def texts(page: Path) -> tuple[str, str]:
    """The page and its Markdown twin."""
    return page.read_text(encoding="utf-8"), page.with_name("report.md").read_text(encoding="utf-8")


def written(place: Root, **options: Any) -> tuple[str, str]:
    """The page and its Markdown twin of the fixture study."""
    return texts(render(fixture_study(), "digits", place, **options))


def fail(place: Root, run: Run, error: str) -> None:
    """Let a run have failed."""
    place.run_folder(run.key).mkdir()
    note_failure(place.run_folder(run.key), error, "w")


def test_every_file_is_there_and_none_elsewhere(usual: Path) -> None:
    place = Root(usual.parents[2])
    assert usual == place.reports / "fixture_study-digits" / "index.html"
    names = {path.name for path in usual.parent.iterdir()}
    texts = {"report.md", "table.csv", "table.md", "table.tex", "runs.csv", "manifest.json", "figures.json"}
    assert {path.name for path in usual.parent.iterdir() if path.suffix not in (".svg", ".png")} == {
        "index.html",
        *texts,
    }
    assert {path.with_suffix(".png").name for path in usual.parent.glob("*.svg")} <= names
    others = {path.relative_to(place.path).parts[:2] for path in place.path.rglob("*") if path.is_file()}
    assert others - {("reports", "fixture_study-digits")} == {("results", "digits_shifted"), ("runs", "cache")}


def test_on_one_machine_the_same_files_wherever_they_lie(fixture_root: Root, tmp_path: Path) -> None:
    other = Root.at(tmp_path / "else" / "where")
    shutil.copytree(fixture_root.results, other.results)
    first, second = (render(fixture_study(), "digits", place).parent for place in (fixture_root, other))
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_no_path_of_the_machine(fixture_root: Root) -> None:
    fail(fixture_root, fixture_study().runs("digits")[-1], f"OSError: cannot read {fixture_root.path}/x.png")
    page = render(fixture_study(), "digits", fixture_root)
    assert "OSError: cannot read ./x.png" in page.read_text()
    for path in page.parent.iterdir():
        assert str(fixture_root.path).encode() not in path.read_bytes(), path.name


def test_a_plot_with_nothing_to_show_is_left_out(fixture_root: Root) -> None:
    stale = fixture_root.reports / "fixture_study-digits" / "training_loss.svg"
    stale.parent.mkdir()
    stale.write_text("of an earlier report")
    shutil.rmtree(fixture_root.results)
    page, markdown = written(fixture_root)
    assert "training_loss" not in page + markdown
    assert not stale.exists()


def test_the_markdown_twin_shows_what_is_kept_and_names_the_rest(usual: Path) -> None:
    _, markdown = texts(usual)
    shown = re.findall(r"^!\[[^]]*\]\((\w+)\.png\)$", markdown, re.MULTILINE)
    named = re.findall(r"`(\w+)\.svg`", markdown)
    assert shown[0] == "accuracy_params"
    assert set(shown) <= SHOWN
    assert sorted(shown + named) == sorted(path.stem for path in usual.parent.glob("*.svg"))


def test_links_lead_somewhere(usual: Path) -> None:
    text = usual.read_text()
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'<a\b[^>]*\bhref="([^"]*)"', text))
    for link in links:
        assert link[1:] in ids if link.startswith("#") else link.startswith("data:") or (usual.parent / link).exists()
    for record_path in records.index(ROOT.results).values():
        assert f"../../results/digits_shifted/{record_path.name}" in links


def test_nothing_is_loaded(usual: Path) -> None:
    text = usual.read_text()
    assert not re.findall(r"<(?:link|iframe|object|embed|img)\b|\bsrc=|@import|url\((?!#)", text)
    assert not re.findall(r'(?:href|src)="https?:', text)
    assert "default-src 'none'" in text


def test_tables_can_be_taken_from_the_page_itself(usual: Path) -> None:
    text = usual.read_text()
    for name in ("table", "runs"):
        data = re.search(rf'id="csv-{name}" download="[^"]*{"-runs" * (name == "runs")}.csv" href="([^"]*)"', text)
        assert data is not None
        inside = base64.b64decode(data[1].removeprefix("data:text/csv;charset=utf-8;base64,"))
        assert inside == usual.with_name(f"{name}.csv").read_bytes()


def test_every_number_of_the_comparison_leads_to_its_runs(usual: Path) -> None:
    table = re.search(r'<table class="sortable comparison.*?</table>', usual.read_text(), re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table[0], re.DOTALL)
    assert len(rows) == 3
    for at, row in enumerate(rows):
        cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
        assert cells
        assert all(f'href="#runs-{at}"' in cell for cell in cells)


def test_missing_runs_are_said(fixture_root: Root) -> None:
    for text in written(fixture_root):
        assert "8 of 9 runs measured" in text
        assert "not measured: none, seed 2" in text


def test_seeds_that_other_studies_added_do_not_count(fixture_root: Root) -> None:
    content = gather(replace(fixture_study(), seeds=2), "digits", fixture_root)
    assert {row.run.seed for row in content.rows} == {0, 1}
    assert set(content.summary["n"]) == {2}


def test_a_failed_run_is_said(fixture_root: Root) -> None:
    fail(fixture_root, fixture_study().runs("digits")[-1], "DivergedError: the loss is nan")
    for text in written(fixture_root):
        assert "none, seed 2: DivergedError: the loss is nan" in text


def test_a_log_is_linked_where_there_is_one(fixture_root: Root) -> None:
    first = fixture_study().runs("digits")[0]
    fixture_root.run_folder(first.key).mkdir()
    (fixture_root.run_folder(first.key) / "log.txt").write_text("epoch 1")
    page, _ = written(fixture_root)
    assert page.count(">log</a>") == 1
    assert f'href="../../runs/{first.key}/log.txt"' in page


def test_nothing_measured(root: Root) -> None:
    for text in written(root):
        assert "0 of 9 runs measured" in text
        assert "undecided" in text
        told = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
        assert "contradicted" not in told
        assert len(re.findall(r"(✓ |\*\*)supported", told)) == 1, "the claim on parameters, which needs no record"


def test_fewer_seeds_than_there_are(fixture_root: Root) -> None:
    page, markdown = written(fixture_root, seeds=2)
    assert "6 of 6 runs measured" in page
    assert "ablate report fixture_study.py --scale digits --seeds 2" in page
    assert "ablate report fixture_study.py --scale digits --seeds 2" in markdown


def test_one_seed_has_no_interval_over_seeds(fixture_root: Root) -> None:
    page = render(fixture_study(), "digits", fixture_root, seeds=1)
    rows = [line for line in page.with_name("table.md").read_text().splitlines() if line.startswith("|")]
    assert rows
    assert "±" not in "".join(rows)


def test_the_order_is_that_of_a_reader(usual: Path) -> None:
    text = usual.read_text()
    marks = [
        "<h1>Does a small",
        "Patch FF is at least as accurate as attention",
        'id="plot-accuracy_params"',
        'id="comparison"',
        'id="changes"',
        'id="statistics"',
        'id="plots"',
        'id="runs"',
        'id="environment"',
        'id="reproduce"',
    ]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_markup_and_control_characters_give_valid_files(root: Root) -> None:
    odd = {"plain": {"depth": 1}, "a<b>&b": {"depth": 2}, "x]]>--y": {"depth": 3}}
    study = Study(question="Which?", axes={"size": odd}, scales={"tiny": Scale({"epochs": 2})}, seeds=2)
    *runs, last = study.runs("tiny")
    for run in runs:
        records.write(root.results, record(run, provenance={"device": "a\x1b[31mb\x00", "host": "x\ufffey"}))
    fail(root, last, "gone\x1b]0;title\x07")
    folder = render(study, "tiny", root, models=False).parent
    pictures = list(folder.glob("*.svg"))
    assert pictures
    for path in pictures:
        ElementTree.parse(path)
    for path in [folder / "index.html", folder / "report.md", folder / "table.csv", folder / "table.tex"]:
        assert not UNSAFE.search(path.read_text(encoding="utf-8")), path


def test_everything_from_a_study_is_escaped(root: Root) -> None:
    study = hostile()
    for run in study.runs()[:-1]:
        records.write(root.results, record(run, provenance={"device": SCRIPT}))
    fail(root, study.runs()[-1], SCRIPT)
    page = render(study, "../<s>", root)
    assert page.parent.parent == root.reports
    html, markdown = texts(page)
    assert len(re.findall(r"<script\b", html)) == 1
    assert "<img" not in html
    assert html.count("</title>") == 1 + html.count("<title>") - 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "<script>" not in re.sub(r"`[^`\n]*`|```.*?```", "", markdown, flags=re.DOTALL).replace(r"\<", "")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"provenance": {"device": "Another CPU"}}, "device"),
        ({"provenance": {"dirty": True}}, "source"),
        ({"provenance": {"versions": {"torch": "1.0"}}}, "torch"),
        ({"provenance": {"resources": {"threads": 8}}}, "CPU threads"),
        ({"provenance": {"resources": {"threads": 1, "compile": True}}}, "compile"),
        ({"dataset": {"n_test": 361}}, "test images"),
    ],
)
def test_a_mixture_is_flagged(root: Root, change: dict[str, dict[str, object]], word: str) -> None:
    study = fixture_study()
    first, second, *rest = study.runs("digits")
    records.write(root.results, record(first, **change))
    usual = {"provenance": {"resources": {"threads": 1, "compile": False}}} if word == "compile" else {}
    for run in (second, *rest):
        records.write(root.results, record(run, **usual))
    html, markdown = written(root, models=False)
    for text in (html, markdown):
        said = re.search(rf"mixed(?:</dt><dd>|: ){word}: (.*)", text)
        assert said is not None
        assert f"attention, seed 0 ({first.key})" in said[1]
    assert "mixed:</span>" in html
    assert f"(1 run: {first.key})" in markdown


def test_replaced_pictures_are_counted(root: Root) -> None:
    first, *rest = fixture_study().runs("digits")
    records.write(root.results, record(first, dataset={"broken": {"count": 7, "names": ["a.png"]}}))
    for run in rest:
        records.write(root.results, record(run))
    html, _ = written(root, models=False)
    assert "Replaced images" in html
    assert f"trained with grey images in place of unreadable ones: attention, seed 0 ({first.key})" in html


def test_settings_that_change_no_number_are_no_mixture(root: Root) -> None:
    first, *rest = fixture_study().runs("digits")
    for run in (first, *rest):
        kept = {"threads": 1, "tensorboard": run == first, "keep": "all" if run == first else "none"}
        records.write(root.results, record(run, provenance={"resources": kept}))
    for text in written(root, models=False):
        assert "tensorboard" not in text
        assert "mixed:" not in text


def test_no_mixture_no_flag(fixture_root: Root) -> None:
    for text in written(fixture_root):
        assert "mixed:" not in text


def test_what_differs_and_what_is_fixed(fixture_root: Root) -> None:
    html, markdown = written(fixture_root)
    for text in (html, markdown):
        assert "mixer: attention → patch_ff" in text
        assert "module blocks.*.norm1: LayerNorm → none" in text.replace(r"\*", "*")
    assert "module blocks.*.attn: Attention → PatchFF" in html
    assert "`token_ratio=4.0`" in markdown
    assert "`mixer=" not in markdown


def test_without_the_models(fixture_root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.report.content.compare", None)
    html, markdown = written(fixture_root, models=False)
    for text in (html, markdown):
        assert "mixer: attention → patch_ff" in text
    assert "<code>--no-compare</code>" in html


def test_speeds_stand_with_their_modes(fixture_root: Root) -> None:
    study = fixture_study()
    attention, patch_ff, _ = of_study(study, "digits")
    folder = fixture_root.results / "speed" / "a-cpu"
    for subject, rate in ((attention, 100.0), (patch_ff, 200.0)):
        speed_record.write(folder, measurement(subject, [rate, rate * 1.01, rate * 1.02]))
    html, markdown = written(fixture_root, models=False)
    for text in (html, markdown):
        assert "faster than" in text.replace(r"\_", "_")
        assert "202 (201–203)" in text
        assert "the machine's speed changed" not in text
    assert html.count('href="../../results/speed/a-cpu/') >= 2


def test_many_variants_are_folded(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = {f"width {at}": {"mlp_ratio": 1 + at / 8} for at in range(files.MANY + 1)}
    study = Study(question="Which?", axes={"width": widths}, scales={"s": Scale(SMALL)}, name="many")
    for run in study.runs():
        records.write(root.results, record(run))
    monkeypatch.setattr(figures, "TALL", 0.1)
    html, _ = texts(render(study, "s", root, models=False))
    assert "<summary>All 39 runs</summary>" in html
    assert "<summary>13 variants</summary>" in html
    assert "<details><summary>Training loss</summary>" in html


def test_a_study_of_speed_alone_has_measurements_and_no_runs(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(
        question="Linear or quadratic?",
        axes={"mixer": ["attention", "patch_ff"], "image_size": [16, 32, 64]},
        cross=True,
        scales={"s": Scale(SMALL)},
        claims=[Claim("Patch FF grows slower", exponent(mixer="patch_ff") < exponent(mixer="attention"))],
        benchmark_only=True,
        name="sequence",
    )
    for plots in (figures, files):
        monkeypatch.setattr(plots, "PLOTS", {"scaling_tokens": PLOTS["scaling_tokens"]})
    before, _ = texts(render(study, "s", root, models=False))
    assert "Nothing is measured yet" in before
    for subject in of_study(study, "s"):
        assert subject.run is not None
        tokens, power = subject.run.tokens, 2.0 if subject.run.mixer == "attention" else 1.0
        found = measurement(subject, [(1e6 + at) / tokens**power * (1.02 if tokens == 64 else 1) for at in range(3)])
        found.subject |= {"macs": tokens**2, "tokens": tokens}
        speed_record.write(root.results / "speed" / "a-cpu", found)
    html, markdown = texts(render(study, "s", root, models=False))
    for text in (html, markdown):
        assert "time grows as tokens^2.00" in text.replace("\\^", "^")
        assert "supported" in text
        assert "not measured" not in text
        assert "ablate bench sequence" in text
        assert "## Runs" not in text
    assert html.index('id="plot-scaling_tokens"') < html.index('id="speed"') < html.index('id="comparison"')
    for name in ("runs", "statistics", "environment"):
        assert f'id="{name}"' not in html
    assert html.count('href="#speed"') > 6
