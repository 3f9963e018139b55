"""A study's report: one page that opens from disk, with its table and plots as files beside it.

The same records give the same bytes: nothing in it depends on when or where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ablate import formats
from ablate.paths import Root, write_atomically
from ablate.plots import PLOTS, _style
from ablate.report.content import Content
from ablate.report.page import fill, inline
from ablate.study import Study

HEADLINE = "accuracy_params"
TABLES = ("csv", "md", "tex")


def render(study: Study, scale: str, root: Root, seeds: int | None = None) -> Path:
    """Write `reports/STUDY-SCALE/`: the page, its Markdown twin, the table's files and the plots.

    Args:
        seeds: only the first so many seeds; None is all there are.

    Returns:
        The path of the page, `index.html`.
    """
    content = gather(study, scale, root, seeds)
    plots = {name: _plot(name, content) for name in sorted(PLOTS, key=lambda name: (name != HEADLINE, name))}
    for name in TABLES:
        _write(content, f"table.{name}", formats.render(content.summary, name))
    anchors = {label: f"#runs-{at}" for at, label in enumerate(content.variants)}
    shared = {"c": content, "note": formats.NOTE, "plots": PLOTS}
    markdown = formats.as_markdown(content.summary)
    _write(content, "report.md", fill("report.md", **shared, names=list(plots), table=markdown))
    figures = {name: inline(svg.read_text(), name, PLOTS[name].TITLE) for name, (svg, _) in plots.items()}
    table = formats.as_html(content.summary, anchors)
    return _write(content, "index.html", fill("page.html", **shared, figures=figures, table=table, anchors=anchors))


def write_plots(study: Study, scale: str, root: Root, names: Iterable[str], seeds: int | None = None) -> list[Path]:
    """Draw the named plots as SVG and PNG into the report's folder; returns their paths."""
    content = gather(study, scale, root, seeds)
    return [path for name in names for path in _plot(name, content)]


def gather(study: Study, scale: str, root: Root, seeds: int | None = None) -> Content:
    """What the report of a study says."""
    scale = study.scale(scale)
    folder = re.sub(r"[^\w.-]", "_", f"{study.name}-{scale}")
    return Content(study, scale, root, root.reports / folder, seeds)


def _plot(name: str, content: Content) -> tuple[Path, Path]:
    plot = PLOTS[name]
    with _style.style():
        axes = plot.draw({"runs": content.runs, "curves": content.curves}[plot.TAKES])
    return _style.save(axes.figure, content.folder / name)


def _write(content: Content, name: str, text: str) -> Path:
    path = content.folder / name
    write_atomically(path, text.encode())
    return path
