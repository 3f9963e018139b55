"""The page in a browser: opened from disk, wide and narrow, light and dark, with nothing fetched and nothing amiss."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ablate import Scale, Study
from ablate.report import overview, render
from ablate.store import records
from ablate.store.root import Root
from ablate.study.load import load
from tests.synthetic import record

pytestmark = [pytest.mark.slow, pytest.mark.browser]
LIMIT_MS = 600_000  # of every wait for the browser; only what hangs meets it

PROJECT = Path(__file__).parents[2]

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
        give_up("playwright is not installed: pip install playwright")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS, timeout=LIMIT_MS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a study with thirteen variants of long names, one of them without a space."""
    place = Root.at(tmp_path_factory.mktemp("crowded"))
    fields = {"epochs": 3, "image_size": 16, "patch_size": 4, "heads": 4, "dim": 64, "depth": 4, "pool": "avg"}
    labels = {f"{'long' * 12 if at == 3 else 'a long name'} {at}": {"mlp_ratio": 1 + at / 4} for at in range(13)}
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
        page.set_default_timeout(LIMIT_MS)
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
    plots = page.locator("svg.plot")
    assert plots.count() == len(list(path.parent.glob("*.svg")))
    boxes = [box for box in (plot.bounding_box() for plot in plots.all()) if box]
    hidden = page.locator(".headline figure").count() - 1
    assert hidden >= 3
    assert len(boxes) == plots.count() - hidden, "of the headline's plots one is shown"
    for box in boxes:
        assert box["width"] >= 300
        assert box["height"] >= 150
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_have_contrast(opened: Any, usual: Path, scheme: str) -> None:
    page = opened(usual, scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.9) == (scheme == "light")
    selectors = ["h1", ".reason", ".decision.supported", ".decision.contradicted", "td a", "figcaption", "thead th"]
    for selector in selectors:
        assert contrast(page, selector, "color", paper) >= 4.5, selector
    assert contrast(page, "svg [id$='text_1'] g", "fill", paper) >= 4.5
    for selector in ["label", "input:checked + label", ".notice dt", ".notice dd"]:
        assert contrast(page, selector, "color", ground(page, selector) or paper) >= 4.5, selector


def contrast(page: Any, selector: str, what: str, paper: float) -> float:
    """The contrast of an element's colour with the page's background, by WCAG's formula."""
    colour = page.evaluate("([s, w]) => getComputedStyle(document.querySelector(s))[w]", [selector, what])
    low, high = sorted([luminance(colour), paper])
    return (high + 0.05) / (low + 0.05)


def ground(page: Any, selector: str) -> float | None:
    """The luminance of the nearest background around an element; None where that is the page's."""
    script = """s => {
        for (let e = document.querySelector(s); e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
        }
        return null;
    }"""
    colour = page.evaluate(script, selector)
    return None if colour is None else luminance(colour)


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


def shown(page: Any) -> list[str]:
    """The ids of the headline's plots that can be seen."""
    return [f.get_attribute("id") for f in page.locator(".headline figure").all() if f.is_visible()]


@pytest.mark.parametrize("script", [True, False])
def test_the_headline_s_x_axis_can_be_switched(browser: Any, usual: Path, script: bool) -> None:
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(usual.as_uri())
    assert shown(page) == ["plot-accuracy_params"]
    for words, name in (("MACs", "macs"), ("throughput", "throughput"), ("training time", "time")):
        page.get_by_text(words, exact=True).first.click()
        assert shown(page) == [f"plot-accuracy_{name}"]
    page.get_by_role("radio", name="training time").press("ArrowLeft")
    assert shown(page) == ["plot-accuracy_throughput"]
    context.close()


def test_points_tell_their_values_and_lead_to_the_runs(opened: Any, usual: Path) -> None:
    page = opened(usual)
    point = page.locator("#plot-accuracy_params a .point").nth(1)
    point.hover()
    told = page.locator("#tip").inner_text().split("\n")
    assert told[0] == "patch_ff"
    assert re.fullmatch(r"Parameters: [\d,]+", told[1])
    assert re.fullmatch(r"Test top-1 \(%\): [\d.]+", told[2])
    point.click()
    assert page.evaluate("document.querySelector(':target').innerText") == "patch_ff"


@pytest.mark.parametrize("name", ["table", "runs"])
def test_the_data_can_be_downloaded_from_the_page_alone(opened: Any, usual: Path, tmp_path: Path, name: str) -> None:
    alone = tmp_path / "alone.html"
    shutil.copy(usual, alone)
    page = opened(alone)
    with page.expect_download() as downloading:
        page.locator(f"#csv-{name}").click()
    assert downloading.value.suggested_filename.endswith(".csv")
    assert Path(downloading.value.path()).read_bytes() == usual.with_name(f"{name}.csv").read_bytes()


def test_long_tables_are_folded_filtered_and_opened_by_links(opened: Any, crowded: Path) -> None:
    page = opened(crowded)
    runs = page.locator("table.runs")
    assert not runs.is_visible()
    page.locator("table.comparison a", has_text="a long name 11").first.click()
    assert runs.is_visible()
    page.get_by_label("Filter 39 rows").fill("NAME 11")
    assert column_of_visible(page, "table.runs") == ["a long name 11"] * 3


def column_of_visible(page: Any, table: str) -> list[str]:
    return [row.inner_text() for row in page.locator(f"{table} tbody th").all() if row.is_visible()]


def test_it_prints_without_what_only_a_screen_needs(opened: Any, usual: Path) -> None:
    page = opened(usual)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("table.comparison").is_visible()


def test_headings_are_a_tree_and_figures_have_names(opened: Any, usual: Path) -> None:
    page = opened(usual)
    levels = [
        int(level) for level in page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(e => e.tagName[1])")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(page.evaluate("[...document.querySelectorAll('svg.plot')].map(e => e.getAttribute('aria-label'))"))


def test_readable_without_script(browser: Any, usual: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(usual.as_uri())
    assert page.locator("table.comparison thead th").first.inner_text() == "Variant"
    assert page.locator("svg.plot").count() == len(list(usual.parent.glob("*.svg")))
    assert "patch_ff" in page.locator(".point title").nth(1).text_content()
    assert page.locator("table.runs").is_visible()
    context.close()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The index and the pages of a few named studies, rendered from the committed records.

    Together they have what the fixtures have not: a colour bar, a line along an axis, a study of speed alone.
    """
    place = Root.at(tmp_path_factory.mktemp("rendered"))
    shutil.copytree(PROJECT / "results", place.results)
    pages = [render(load(name), "digits", place, models=False) for name in ("data_size", "recipe", "sequence_length")]
    (place.reports / overview.PAGE).write_text(overview.texts(place)[overview.PAGE], encoding="utf-8")
    return [*pages, place.reports / overview.PAGE]


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_of_named_studies_open_without_complaint(browser: Any, rendered: list[Path], width: int) -> None:
    """A colour bar in the page was once blocked by the page's own policy."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(LIMIT_MS)
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text[:200]) if said.type == "error" else None)
    for path in rendered:
        page.goto(path.as_uri())
        assert not errors, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()
    assert any("<image" in path.read_text(encoding="utf-8") for path in rendered), "one has a colour bar"
