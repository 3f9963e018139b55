"""The report of a study: its files, that it repeats byte for byte, and that it says what is missing or mixed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ablate import Claim, Scale, Study, records, top1
from ablate.notes import note_failure
from ablate.paths import Root
from ablate.plots import PLOTS
from ablate.report import render, write_plots
from tests.synthetic import ROOT, fixture_study, record

SCRIPT = "<script>alert('x')</script>"
SMALL = {"epochs": 3, "image_size": 16, "patch_size": 4, "heads": 4, "dim": 64, "depth": 4, "pool": "avg"}


@pytest.fixture
def fixture_root(root: Root) -> Root:
    """A root with the fixture records."""
    shutil.copytree(ROOT.results, root.results, dirs_exist_ok=True)
    return root


def hostile() -> Study:
    """A study that writes markup wherever it can write text."""
    labels = {SCRIPT: {"mixer": "attention"}, '"><img src=x>': {"mixer": "none"}}
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


def test_every_file_is_there_and_none_elsewhere(fixture_root: Root) -> None:
    before = {path for path in fixture_root.path.rglob("*") if path.is_file()}
    page = render(fixture_study(), "digits", fixture_root)
    assert page == fixture_root.reports / "fixture_study-digits" / "index.html"
    written = {path for path in fixture_root.path.rglob("*") if path.is_file()} - before
    plots = {f"{name}.{kind}" for name in PLOTS for kind in ("svg", "png")}
    names = {"index.html", "report.md", "table.csv", "table.md", "table.tex"} | plots
    assert written == {page.parent / name for name in names}


def test_same_records_same_bytes_wherever_they_lie(fixture_root: Root, tmp_path: Path) -> None:
    other = Root.at(tmp_path / "else" / "where")
    shutil.copytree(fixture_root.results, other.results)
    first, second = (render(fixture_study(), "digits", place).parent for place in (fixture_root, other))
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_no_path_of_the_machine(fixture_root: Root) -> None:
    missing = fixture_study().runs("digits")[-1]
    fixture_root.run_folder(missing.key).mkdir()
    note_failure(fixture_root.run_folder(missing.key), f"OSError: cannot read {fixture_root.path}/x.png", "w")
    page = render(fixture_study(), "digits", fixture_root)
    assert "OSError: cannot read ./x.png" in page.read_text()
    for path in page.parent.iterdir():
        assert str(fixture_root.path).encode() not in path.read_bytes(), path.name


def test_links_lead_somewhere(fixture_root: Root) -> None:
    page = render(fixture_study(), "digits", fixture_root)
    text = page.read_text()
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    for link in re.findall(r'\bhref="([^"]*)"', text):
        assert link[1:] in ids if link.startswith("#") else (page.parent / link).exists(), link
    for record_path in records.index(fixture_root.results).values():
        assert f'href="../../results/digits_shifted/{record_path.name}"' in text


def test_missing_runs_are_said(fixture_root: Root) -> None:
    for text in texts(render(fixture_study(), "digits", fixture_root)):
        assert "8 of 9 runs measured" in text
        assert "none, seed 2 is not measured" in text


def test_a_failed_run_is_said(fixture_root: Root) -> None:
    missing = fixture_study().runs("digits")[-1]
    fixture_root.run_folder(missing.key).mkdir()
    note_failure(fixture_root.run_folder(missing.key), "DivergedError: the loss is nan", "w")
    for text in texts(render(fixture_study(), "digits", fixture_root)):
        assert "none, seed 2 failed: DivergedError: the loss is nan" in text


def test_nothing_measured(root: Root) -> None:
    for text in texts(render(fixture_study(), "digits", root)):
        assert "0 of 9 runs measured" in text
        assert "undecided" in text
        assert "supported" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_fewer_seeds_than_there_are(fixture_root: Root) -> None:
    page, _ = texts(render(fixture_study(), "digits", fixture_root, seeds=2))
    assert "6 of 6 runs measured" in page
    assert "--seeds 2" in page


def test_one_seed_has_no_interval(fixture_root: Root) -> None:
    page = render(fixture_study(), "digits", fixture_root, seeds=1)
    assert "±" not in page.with_name("table.md").read_text()


def test_verdicts_stand_before_the_table(fixture_root: Root) -> None:
    for text in texts(render(fixture_study(), "digits", fixture_root)):
        sentence = "Patch FF is at least as accurate as attention"
        assert text.index("contradicted", text.index("8 of 9")) < text.index("Comparison")
        assert text.index(sentence) < text.index("accuracy_params.svg") < text.index("132.7 k")


def test_everything_from_a_study_is_escaped(root: Root) -> None:
    study = hostile()
    for run in study.runs()[:-1]:
        records.write(root.results, record(run, provenance={"device": SCRIPT}))
    missing = study.runs()[-1]
    root.run_folder(missing.key).mkdir()
    note_failure(root.run_folder(missing.key), SCRIPT, "w")
    page = render(study, "../<s>", root)
    assert page.parent.parent == root.reports
    html, markdown = texts(page)
    assert html.count("<script>") == 1
    assert "<img" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "<script>" not in re.sub(r"`[^`\n]*`|```.*?```", "", markdown, flags=re.DOTALL).replace(r"\<", "")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"provenance": {"device": "Another CPU"}}, "device"),
        ({"provenance": {"dirty": True}}, "source"),
        ({"provenance": {"versions": {"torch": "1.0"}}}, "torch"),
        ({"provenance": {"resources": {"threads": 8}}}, "CPU threads"),
        ({"dataset": {"fingerprint": "other"}}, "fingerprint"),
    ],
)
def test_a_mixture_is_flagged(root: Root, change: dict[str, dict[str, object]], word: str) -> None:
    study = fixture_study()
    first, *rest = study.runs("digits")
    records.write(root.results, record(first, **change))
    for run in rest:
        records.write(root.results, record(run))
    html, markdown = texts(render(study, "digits", root))
    said = re.search(r"The runs differ in what they should share: ([^.\n]*)", html)
    assert said is not None
    assert word in said[1].split(", ")
    assert "mixed:</span>" in html
    assert f"(1 run: {first.key})" in markdown


def test_no_mixture_no_flag(fixture_root: Root) -> None:
    for text in texts(render(fixture_study(), "digits", fixture_root)):
        assert "⚠" not in text


def test_what_differs_and_what_is_fixed(fixture_root: Root) -> None:
    html, markdown = texts(render(fixture_study(), "digits", fixture_root))
    for text in (html, markdown):
        assert "mixer: attention → patch_ff" in text
        assert "83,584 (−49,152, −37.0 %)" in text
    assert "`token_ratio=4.0`" in markdown
    assert "`mixer=" not in markdown


def test_plots_alone(fixture_root: Root) -> None:
    paths = write_plots(fixture_study(), "digits", fixture_root, ["training_loss"])
    assert [path.name for path in paths] == ["training_loss.svg", "training_loss.png"]
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)
