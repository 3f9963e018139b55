"""What the repository holds of the reports: texts, data and the pictures that documents show, and little of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ablate.report.opening import SHOWN

PROJECT = Path(__file__).parents[2]
REPORTS = PROJECT / "reports"
FOLDERS = sorted(path.parent for path in REPORTS.glob("*/manifest.json"))
MOST = 300_000  # bytes of a report
TEXTS = {"report.md", "table.csv", "table.md", "table.tex", "runs.csv", "manifest.json", "figures.json"}
PICTURE = re.compile(r"!\[[^]]*\]\(([^)]+)\)|<img src=\"([^\"]+)\"")


def kept(folder: Path) -> list[Path]:
    """The files of a report that git does not ignore."""
    return [path for path in folder.iterdir() if path.suffix not in (".html", ".svg") and _is_shown(path)]


def _is_shown(path: Path) -> bool:
    return path.suffix != ".png" or path.stem in SHOWN


def pictures(document: Path) -> set[Path]:
    """The pictures that a document shows."""
    found = PICTURE.findall(document.read_text(encoding="utf-8"))
    return {(document.parent / (one or other)).resolve() for one, other in found}


def test_git_keeps_the_pictures_that_reports_show() -> None:
    lines = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/reports/*/*.png" in lines
    assert {line for line in lines if line.startswith("!/reports/")} == {f"!/reports/*/{name}.png" for name in SHOWN}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_report_is_light_and_whole(folder: Path) -> None:
    files = kept(folder)
    assert sum(path.stat().st_size for path in files) <= MOST
    assert {path.name for path in files if path.suffix != ".png"} == TEXTS
    assert {path.resolve() for path in files if path.suffix == ".png"} == pictures(folder / "report.md")


def test_documents_show_pictures_that_are_kept() -> None:
    everywhere = {path.resolve() for folder in FOLDERS for path in kept(folder)}
    for document in (PROJECT / "README.md", REPORTS / "README.md", *(PROJECT / "docs").glob("*.md")):
        shown = {path for path in pictures(document) if REPORTS in path.parents}
        assert shown <= everywhere, document
    assert len(pictures(REPORTS / "README.md")) == len(FOLDERS)
