"""A study's report as files: the page, its Markdown twin, tables, figures, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablate.report import figures_json, manifest, speeds
from ablate.report.content import Content
from ablate.report.figures import Figure, draw_all
from ablate.report.findings import findings
from ablate.report.opening import opening
from ablate.report.page import fill
from ablate.report.plots import PLOTS
from ablate.results import formats
from ablate.results.formats import Sheet, comparison
from ablate.results.formats import contrasts as sheets
from ablate.study.compare import in_words

PAGE, MARKDOWN, RUNS = "index.html", "report.md", "runs.csv"
TABLES = ("csv", "md", "tex")
READ = (*(f"table.{name}" for name in TABLES), RUNS, MARKDOWN, figures_json.NAME)
KINDS = ("svg", "png")
MANY = 12  # variants from which on long tables are folded


@dataclass(frozen=True)
class Shown:
    """A table in the page: its rows, and where the numbers of each lead."""

    sheet: Sheet
    leads: Sequence[str]

    @property
    def markdown(self) -> str:
        """The table in the page's twin."""
        return formats.as_markdown(self.sheet, notes=True)


def contents(content: Content) -> dict[str, bytes]:
    """Every file of a report by its name, the page last."""
    figures = draw_all(content)
    pictures = {f"{figure.name}.{kind}": getattr(figure, kind) for figure in figures for kind in KINDS}
    data = {manifest.NAME: content.manifest.as_json(), figures_json.NAME: figures_json.as_json(figures)}
    return pictures | {name: text.encode() for name, text in (data | texts(content, figures)).items()}


def texts(content: Content, figures: Sequence[Figure]) -> dict[str, str]:
    """Every file that people read, the page last; that is without its figures where these were not rendered."""
    files = {f"table.{name}": formats.render(content.summary, name) for name in TABLES}
    files[RUNS] = content.runs.to_csv(index=False, lineterminator="\n")
    tables, ranked = _tables(content), speeds.ranked(content.speeds, content.variants[0])
    shared = {
        "c": content,
        "findings": findings(content),
        "in_words": in_words,
        "tables": tables,
        "ranked": ranked,
        "grown": speeds.grown(content.speed),
        **_parted(content, figures),
    }
    page = {"csv": files, "anchors": _anchors(content), "folded": len(content.variants) > MANY}
    return files | {MARKDOWN: fill(MARKDOWN, **shared), PAGE: fill("page.html", **page, **shared)}


def _tables(content: Content) -> dict[str, Shown]:
    """The tables of a page that are made of columns; those with nothing to show are left out."""
    anchors, control = _anchors(content), content.variants[0]
    runs = {(row.variant, row.run.seed): f"#run-{row.run.key}" for row in content.rows}
    shared, results = speeds.at_reference_batch(content.speeds), content.root.results
    pictures = sheets.over_images(content.over_images, control)
    found = {
        "comparison": Shown(_comparison(content), list(anchors.values())),
        "seeds": Shown(sheets.over_seeds(content.over_seeds, control), list(anchors.values())[1:]),
        "speeds": Shown(speeds.sheet(shared), [content.link(speeds.path_of(results, one)) for one in shared]),
        "pictures": Shown(pictures, [runs[row["variant"], row["seed"]] for row in pictures.rows]),
    }
    return {name: shown for name, shown in found.items() if shown.sheet.rows}


def _comparison(content: Content) -> Sheet:
    """The table of variants; without what is measured by training where nothing is trained."""
    sheet = comparison(content.summary)
    if not content.study.benchmark_only:
        return sheet
    return replace(sheet, columns=[c for c in sheet.columns if c.sources[0] in ("variant", "params", "macs")], notes=())


def possible() -> set[str]:
    """The names of all figures' files that a report may hold."""
    return {f"{name}.{kind}" for name in PLOTS for kind in KINDS}


def _anchors(content: Content) -> Mapping[str, str]:
    """Where the runs of a variant are listed in the page; its measurements where nothing is trained."""
    if content.study.benchmark_only:
        return dict.fromkeys(content.variants, "#speed")
    return {label: f"#runs-{at}" for at, label in enumerate(content.variants)}


def _parted(content: Content, figures: Sequence[Figure]) -> dict[str, object]:
    """The figures by the place they have in a report."""
    by_name = {figure.name: figure for figure in figures}
    first = opening(content.runs, by_name, benchmark_only=content.study.benchmark_only)
    rest = [figure for figure in figures if figure.name not in first]
    return {
        "headlines": {words: by_name[name] for name, words in first.items()},
        "comparing": [figure for figure in rest if figure.input == "runs"],
        "curves": [figure for figure in rest if figure.input == "curves"],
        "speeds": [figure for figure in rest if figure.input in ("speed", "rankings")],
    }
