"""The page in a browser: opened from disk, wide and narrow, light and dark, with nothing fetched and nothing amiss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ablate import Scale, Study, records
from ablate.paths import Root
from ablate.plots import PLOTS
from ablate.report import render
from tests.synthetic import ROOT, fixture_study, record

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; without one the tests are skipped, or fail where REQUIRE_BROWSER=1."""
    executable = shutil.which("chromium")
    give_up = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
    if executable is None:
        give_up("no chromium on PATH: install Debian's package chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("playwright is not installed: pip install 'ablate[dev]'")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the fixture study."""
    place = Root.at(tmp_path_factory.mktemp("usual"))
    shutil.copytree(ROOT.results, place.results)
    return render(fixture_study(), "digits", place)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study with twelve variants of long names, one of them without a space."""
    place = Root.at(tmp_path_factory.mktemp("crowded"))
    fields = {"epochs": 3, "image_size": 16, "patch_size": 4, "heads": 4, "dim": 64, "depth": 4, "pool": "avg"}
    labels = {f"{'long' * 12 if at == 3 else 'a long name'} {at}": {"mlp_ratio": 1 + at / 4} for at in range(12)}
    study = Study(question="W" * 80 + "?", axes={"width": labels}, scales={"s": Scale(fields)}, name="crowded")
    for run in study.runs()[:-1]:
        records.write(place.results, record(run, provenance={"device": "D" * 90 + str(run.seed)}))
    return render(study, "s", place)


@pytest.fixture(params=["usual", "crowded"])
def path(request: pytest.FixtureRequest) -> Path:
    """Each of the pages."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """A function that opens a page and fails at the end if anything was fetched, logged or thrown."""
    problems: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"thrown: {error}"))
        page.on("request", lambda request: request.url == path.as_uri() or problems.append(f"fetched {request.url}"))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_shows_its_plots(opened: Any, path: Path, width: int, scheme: str) -> None:
    page = opened(path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate("[...document.querySelectorAll('svg, img')].map(e => e.getBoundingClientRect().toJSON())")
    assert len(boxes) == len(PLOTS)
    for box in boxes:
        assert box["width"] >= 300
        assert box["height"] >= 150
        assert box["left"] >= 0
        assert box["right"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_have_contrast(opened: Any, usual: Path, scheme: str) -> None:
    page = opened(usual, scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.9) == (scheme == "light")
    selectors = ["h1", ".reason", ".decision.supported", ".decision.contradicted", "td a", "figcaption", "thead th"]
    for selector in selectors:
        assert contrast(page, selector, "color", paper) >= 4.5, selector
    assert contrast(page, "svg [id$='text_1'] g", "fill", paper) >= 4.5


def contrast(page: Any, selector: str, what: str, paper: float) -> float:
    """The contrast of an element's colour with the page's background, by WCAG's formula."""
    colour = page.evaluate("([s, w]) => getComputedStyle(document.querySelector(s))[w]", [selector, what])
    low, high = sorted([luminance(colour), paper])
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour rgb(r, g, b)."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def column(page: Any, table: str, number: int) -> list[str]:
    """The texts of a column, top to bottom."""
    found: list[str] = page.locator(f"{table} tbody tr > :nth-child({number})").all_inner_texts()
    return found


def test_tables_can_be_sorted(opened: Any, usual: Path) -> None:
    page = opened(usual)
    params = page.locator("table.comparison thead th", has_text="Params")
    params.get_by_role("button").click()
    assert column(page, "table.comparison", 1) == ["none", "patch_ff", "attention"]
    assert params.get_attribute("aria-sort") == "ascending"
    params.get_by_role("button").press("Enter")
    assert column(page, "table.comparison", 1) == ["attention", "patch_ff", "none"]
    page.locator("table.comparison thead button", has_text="Variant").click()
    assert column(page, "table.comparison", 1) == ["attention", "none", "patch_ff"]
    assert params.get_attribute("aria-sort") is None


@pytest.mark.parametrize("clicks", [1, 2])
def test_what_is_not_measured_is_sorted_last(opened: Any, usual: Path, clicks: int) -> None:
    page = opened(usual)
    for _ in range(clicks):
        page.locator("table.runs thead button", has_text="Test top-1").click()
    numbers = column(page, "table.runs", 4)
    assert numbers[-1] == "not measured"
    assert numbers[:-1] == sorted(numbers[:-1], key=float, reverse=clicks == 2)


def test_a_variant_leads_to_its_runs(opened: Any, usual: Path) -> None:
    page = opened(usual)
    page.locator("table.comparison a", has_text="patch_ff").click()
    assert page.evaluate("document.querySelector(':target').innerText") == "patch_ff"


def test_readable_without_script(browser: Any, usual: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(usual.as_uri())
    assert page.locator("table.comparison thead th").first.inner_text() == "Variant"
    assert page.locator("svg.plot").count() == len(PLOTS)
    context.close()
