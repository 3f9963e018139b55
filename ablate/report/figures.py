"""A report's figures: drawn once, as files and as part of the page, where their points tell their values.

A point is known by its line's label: a plot that labels its lines with the names of variants has points that can be
hovered over and, where the variant has runs, followed to them.
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
from ablate.report.plots import PLOTS
from ablate.results import ranking
from ablate.results.formats import units

MOST_POINTS = 600
RADIUS = 6.0  # points
TALL = 3.0  # height over width from which on a figure is folded
# The figure's neutral colours become the page's, so that it can be read on light and on dark.
COLOURS = {
    style.INK: "currentColor",
    style.QUIET: "var(--quiet)",
    style.RULE: "var(--rule)",
    "#ffffff": "var(--paper)",
}


@dataclass(frozen=True)
class Point:
    """A point of a figure, in points from its upper left corner, and what it says."""

    variant: str
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Figure:
    """A plot that has been drawn.

    Args:
        data: what it shows, as `ablate.report.drawing._data` reads it.
        tall: whether the page folds it.
        svg, png: its files, empty where it was not rendered.
        points: what can be hovered over in the page.
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
        """Whether report.md shows it."""
        return self.name in SHOWN

    def inline(self, anchors: Mapping[str, str]) -> str:
        """The figure as an element of a page; empty where it was not rendered.

        Args:
            anchors: where a variant's points lead to.
        """
        if not self.svg:
            return ""
        leads = anchors if self.input == "runs" else {}
        return _inline(self.svg.decode(), self.name, self.title, _overlay(self.points, leads))


def draw_all(content: Content, *, rendered: bool = True) -> list[Figure]:
    """Every plot that has something to show, by name.

    Args:
        rendered: whether to make its files; what it shows is known without.
    """
    found = frames(content)
    with style.style(), nullcontext() if rendered else _labels.unplaced():
        drawn = ((name, PLOTS[name].draw(found[PLOTS[name].input])) for name in sorted(PLOTS))
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
    """The frames that plots may take, by name."""
    return {
        "runs": _rates.beside(content.runs, content.speed),
        "curves": content.curves,
        "speed": content.speed,
        "rankings": ranking.tidy(ranking.rankings(content.speeds), content.variants),
    }


def _points(axes: Axes) -> Iterator[Point]:
    """The points of the labelled lines; of long lines every so many, so that a page stays light."""
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
    """What a point says: its line, and its place on every axis that says what it shows."""
    labels = ((axes.get_xlabel(), x), (axes.get_ylabel(), y))
    told = [f"{' '.join(name.split())}: {_number(value)}" for name, value in labels if name]
    return "\n".join([str(line.get_label()), *told])


def _number(value: float) -> str:
    return units.exact(value) if abs(value) >= 1000 else f"{value:.4g}".replace("-", units.MINUS)


def _overlay(points: tuple[Point, ...], anchors: Mapping[str, str]) -> str:
    """Invisible circles over a figure's points, each with its text, leading to the variant's runs where it has some."""
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
    # The keyboard goes to the same runs by the tables, without a stop at every point.
    return f'<a href="{escape(anchor)}" tabindex="-1">{element}</a>\n' if anchor else f"{element}\n"


def _inline(svg: str, name: str, title: str, overlay: str) -> str:
    """A figure's SVG as an element of a page.

    Args:
        name: begins every id, so that several figures keep apart.
        title: what it shows, for those who cannot see it.
        overlay: what lies over it.
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
    """A path on one line, its coordinates to a hundredth of a point."""
    return re.sub(r"\s*\n", " ", re.sub(r"(\.\d\d)\d+", r"\1", path))
