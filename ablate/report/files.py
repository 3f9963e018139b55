"""A study's report as files: the page, its Markdown version, tables, figures, and the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablate.report import figures_json, manifest, speeds
from ablate.report.content import Content
from ablate.report.figures import Figure, draw_all
from ablate.report.findings import findings
from ablate.report.opening import opening
from ablate.report.page import fill
from ablate.report.plots import PLOTS, in_reports
from ablate.results import formats
from ablate.results.formats import Sheet, comparison
from ablate.results.formats import contrasts as sheets
from ablate.study.compare import in_words

PAGE, MARKDOWN, RUNS = "index.html", "report.md", "runs.csv"
TABLES = ("csv", "md", "tex")
READ = (*(f"table.{name}" for name in TABLES), RUNS, MARKDOWN, figures_json.NAME)
KINDS = ("svg", "png")
MANY = 12  # number of variants above which long tables are folded


@dataclass(frozen=True)
class Shown:
    """A table in the page: its rows, and the link of each."""

    sheet: Sheet
    links: Sequence[str]

    @property
    def markdown(self) -> str:
        """Return the table as Markdown."""
        return formats.as_markdown(self.sheet, notes=True)


def contents(content: Content) -> dict[str, bytes]:
    """Return every file of a report by its name, the page last."""
    figures = draw_all(content)
    drawn = {f"{figure.name}.{kind}": getattr(figure, kind) for figure in figures for kind in KINDS}
    data = {manifest.NAME: content.manifest.as_json(), figures_json.NAME: figures_json.as_json(figures)}
    return drawn | {name: text.encode() for name, text in (data | texts(content, figures)).items()}


def texts(content: Content, figures: Sequence[Figure]) -> dict[str, str]:
    """Return every text file, the page last; without figures in the page if these were not rendered."""
    files = {f"table.{name}": formats.render(content.summary, name) for name in TABLES}
    files[RUNS] = formats.spreadsheet.as_text(content.runs)
    tables, ranked = _tables(content), speeds.ranked(content.speeds, content.variants[0])
    shared = {
        "c": content,
        "findings": findings(content),
        "in_words": in_words,
        "tables": tables,
        "ranked": ranked,
        "grown": speeds.grown(content.speed),
        **_by_section(content, figures),
    }
    page = {"csv": files, "anchors": _anchors(content), "folded": len(content.variants) > MANY}
    return files | {MARKDOWN: fill(MARKDOWN, **shared), PAGE: fill("page.html", **page, **shared)}


def _tables(content: Content) -> dict[str, Shown]:
    """Return the tables that are not empty, by name."""
    anchors, control = _anchors(content), content.variants[0]
    runs = {(row.variant, row.run.seed): f"#run-{row.run.key}" for row in content.rows}
    shared, results = speeds.at_reference_batch(content.speeds), content.root.results
    images = sheets.over_images(content.over_images, control)
    found = {
        "comparison": Shown(_comparison(content), list(anchors.values())),
        "seeds": Shown(sheets.over_seeds(content.over_seeds, control), list(anchors.values())[1:]),
        "speeds": Shown(speeds.sheet(shared), [content.link(speeds.path_of(results, one)) for one in shared]),
        "images": Shown(images, [runs[row["variant"], row["seed"]] for row in images.rows]),
    }
    return {name: shown for name, shown in found.items() if shown.sheet.rows}


def _comparison(content: Content) -> Sheet:
    """Return the table of variants; without the columns that need training if nothing is trained."""
    sheet = comparison(content.summary)
    if not content.study.benchmark_only:
        return sheet
    return replace(sheet, columns=[c for c in sheet.columns if c.sources[0] in ("variant", "params", "macs")], notes=())


def possible() -> set[str]:
    """Return the names of all figure files that a report may contain."""
    return {f"{name}.{kind}" for name in in_reports(PLOTS) for kind in KINDS}


def _anchors(content: Content) -> Mapping[str, str]:
    """Return the link to each variant's runs in the page; to the speed measurements if nothing is trained."""
    if content.study.benchmark_only:
        return dict.fromkeys(content.variants, "#speed")
    return {label: f"#runs-{at}" for at, label in enumerate(content.variants)}


def _by_section(content: Content, figures: Sequence[Figure]) -> dict[str, object]:
    """Return the figures by their section of the report."""
    by_name = {figure.name: figure for figure in figures}
    first = opening(content.runs, by_name, benchmark_only=content.study.benchmark_only)
    rest = [figure for figure in figures if figure.name not in first]
    return {
        "headlines": {words: by_name[name] for name, words in first.items()},
        "comparing": [figure for figure in rest if figure.input == "runs"],
        "curves": [figure for figure in rest if figure.input == "curves"],
        "speeds": [figure for figure in rest if figure.input in ("speed", "rankings")],
    }
