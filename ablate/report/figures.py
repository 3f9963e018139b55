"""A report's figures: drawn once, as files and inside the page, where their points show their values.

A point belongs to a variant by its line's label: if a plot labels its lines with the names of variants, their points
show their values when hovered over, and link to the variant's runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ablate.report.content import Content
from ablate.report.drawing import _data, _labels, _rates, style
from ablate.report.opening import SHOWN
from ablate.report.plots import PLOTS, in_reports
from ablate.results import ranking
from ablate.results.formats import units

MOST_POINTS = 600
RADIUS = 6.0  # points
TALL = 3.0  # height over width above which the page folds a figure
# The page's colours that replace a figure's neutral ones, so that it is readable on a light and a dark page.
COLOURS = {
    style.INK: "currentColor",
    style.QUIET: "var(--quiet)",
    style.RULE: "var(--rule)",
    "#ffffff": "var(--paper)",
}


@dataclass(frozen=True)
class Point:
    """A point of a figure, in points from its upper left corner, and its text."""

    variant: str
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Figure:
    """A plot that has been drawn.

    Args:
        data: its data, as `ablate.report.drawing._data` reads it.
        tall: whether the page folds it.
        svg, png: its files, empty if it was not rendered.
        points: the points that can be hovered over in the page.
    """

    name: str
    title: str
    caption: str
    input: str
    data: list[dict[str, Any]]
    tall: bool
    svg: bytes = b""
    png: bytes = b""
    points: tuple[Point, ...] = ()

    @property
    def shown(self) -> bool:
        """Return whether report.md shows it."""
        return self.name in SHOWN

    def inline(self, anchors: Mapping[str, str]) -> str:
        """Return the figure as an element of a page; empty if it was not rendered.

        Args:
            anchors: the link of each variant's points.
        """
        if not self.svg:
            return ""
        links = anchors if self.input == "runs" else {}
        return _inline(self.svg.decode(), self.name, self.title, _overlay(self.points, links))


def draw_all(content: Content, *, rendered: bool = True) -> list[Figure]:
    """Draw every plot that has something to show, by name.

    Args:
        rendered: whether to render its files; its data does not need them.
    """
    found = frames(content)
    with style.style(), nullcontext() if rendered else _labels.unplaced():
        drawn = ((name, PLOTS[name].draw(found[PLOTS[name].input])) for name in in_reports(PLOTS))
        return [_figure(name, axes, rendered=rendered) for name, axes in drawn if axes.has_data()]


def _figure(name: str, axes: Axes, *, rendered: bool) -> Figure:
    plot, canvas = PLOTS[name], style.figure_of(axes)
    width, height = canvas.get_size_inches()
    found = Figure(name, plot.title, plot.caption, plot.input, _data.of(canvas), bool(height > TALL * width))
    if not rendered:
        return found
    png, svg = (style.encode(canvas, kind) for kind in ("png", "svg"))
    return replace(found, svg=svg, png=png, points=tuple(_points(axes)))


def frames(content: Content) -> Mapping[str, pd.DataFrame]:
    """Return the frames that plots may draw, by name."""
    return {
        "runs": _rates.add_measured(content.runs, content.speed),
        "curves": content.curves,
        "speed": content.speed,
        "rankings": ranking.tidy(ranking.rankings(content.speeds), content.variants),
    }


def _points(axes: Axes) -> Iterator[Point]:
    """Yield the points of the labelled lines; of long lines every Nth point, to limit the size of the page."""
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    number = sum(len(np.atleast_1d(line.get_xdata())) for line in lines)
    step = max(1, -(-number // MOST_POINTS))
    width, height = style.figure_of(axes).get_size_inches() * 72
    to_share = axes.transData - style.figure_of(axes).transFigure
    for line in lines:
        for x, y in _places(line)[::step]:
            right, up = to_share.transform((x, y))
            yield Point(str(line.get_label()), right * width, (1 - up) * height, _text(axes, line, x, y))


def _places(line: Line2D) -> list[tuple[float, float]]:
    pairs = zip(np.atleast_1d(line.get_xdata()), np.atleast_1d(line.get_ydata()), strict=True)
    return [(float(x), float(y)) for x, y in pairs if np.isfinite(x) and np.isfinite(y)]


def _text(axes: Axes, line: Line2D, x: float, y: float) -> str:
    """Return the text of a point: its line's label, and its value on every labelled axis."""
    labels = ((axes.get_xlabel(), x), (axes.get_ylabel(), y))
    values = [f"{' '.join(name.split())}: {_number(value)}" for name, value in labels if name]
    return "\n".join([str(line.get_label()), *values])


def _number(value: float) -> str:
    return units.exact(value) if abs(value) >= 1000 else f"{value:.4g}".replace("-", units.MINUS)


def _overlay(points: tuple[Point, ...], anchors: Mapping[str, str]) -> str:
    """Return invisible circles over a figure's points, each with its text and a link to the variant's runs."""
    circles = [
        _linked(
            f'<circle class="point" cx="{point.x:.1f}" cy="{point.y:.1f}" r="{RADIUS:g}">'
            f"<title>{escape(point.text)}</title></circle>",
            anchors.get(point.variant),
        )
        for point in points
    ]
    return f'<g class="points">\n{"".join(circles)}</g>\n' if circles else ""


def _linked(element: str, anchor: str | None) -> str:
    # Keyboard users reach the same runs through the tables, without a tab stop at every point.
    return f'<a href="{escape(anchor)}" tabindex="-1">{element}</a>\n' if anchor else f"{element}\n"


def _inline(svg: str, name: str, title: str, overlay: str) -> str:
    """Return a figure's SVG as an element of a page.

    Args:
        name: the prefix of every id, which makes ids of several figures unique.
        title: its description for screen readers.
        overlay: elements drawn over it.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*(<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>)", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'^<svg ([^>]*?)\s*width="[^"]*"', r"<svg \1", re.sub(r'^(<svg [^>]*?)\s*height="[^"]*"', r"\1", svg))
    svg = re.sub(r'\bd="[^"]*"', lambda found: _short(found[0]), svg)
    svg = re.sub("|".join(COLOURS), lambda found: COLOURS[found[0]], svg)
    svg = svg.replace("</svg>", f"{overlay}</svg>")
    return svg.replace("<svg ", f'<svg class="plot" role="img" aria-label="{escape(title)}" ', 1)


def _short(path: str) -> str:
    """Return a path on one line, with coordinates to a hundredth of a point."""
    return re.sub(r"\s*\n", " ", re.sub(r"(\.\d\d)\d+", r"\1", path))
