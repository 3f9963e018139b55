"""Test top-1 against another measured column: one marker per variant, with intervals over seeds and single seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _intervals, _labels, _near_points, _published, _scales, frames, notes, palette, style

SIZE = 6.0  # of a marker, in points


def draw(
    data: pd.DataFrame,
    ax: Axes | None,
    width: float,
    title: str,
    x: str,
    x_title: str,
    *,
    lower_is_better: bool = True,
    note: str = "",
) -> Axes:
    """Draw `top1` against the column `x` of a study's frame, and the Pareto front of the means.

    Args:
        lower_is_better: whether a smaller `x` is better; otherwise a larger one is.
        note: written below the axes.
    """
    axes = style.prepare(ax, title, x_title, "Test top-1 (%)", width)
    data = frames.ordered(data)
    summary = frames.summary(data, "top1", x)
    if summary.empty:
        notes.say_nothing(axes)
        return axes
    looks = palette.looks(data)
    rows = {str(row["variant"]): row for row in summary.to_dict("records")}
    limits = {"x": (_lowest(summary[x]), math.inf), "y": _intervals.PERCENT}
    bars = {name: [*_bars(row, x)] for name, row in rows.items()}
    seeds = data[["variant", x, "top1"]]
    for name, row in rows.items():
        _variant(axes, seeds[seeds["variant"] == name], row, x, looks[name])
    beyond = [_intervals.draw(axes, *bar, looks[name].colour, limits[bar[0]]) for name in rows for bar in bars[name]]
    front = _front(axes, summary, x, lower_is_better=lower_is_better)
    marks = _published.comparable(data, x)
    for mark in marks:
        _published.draw(axes, mark, SIZE)
    _limits(axes, [*summary[x], *(mark.x for mark in marks)])
    if note:
        notes.below(axes, note)
    if marks:
        notes.below(axes, _published.NOTE)
    _intervals.note_beyond(axes, beyond)
    notes.say_missing(axes, palette.variants(data), list(rows))
    names = [_labels.Name(name, (float(row[x]), float(row["top1"])), looks[name].colour) for name, row in rows.items()]
    names += [_labels.Name(mark.text, (mark.x, mark.top1), mark.colour) for mark in marks]
    drawn = [_intervals.segment(*bar, limits[bar[0]]) for each in bars.values() for bar in each]
    _near_points.write(axes, names, front + drawn)
    return axes


def _variant(axes: Axes, seeds: pd.DataFrame, row: Mapping[Any, Any], x: str, look: palette.Look) -> None:
    """Draw the seeds of a variant, faintly, and its mean."""
    name = row["variant"]
    faint: dict[str, Any] = {"color": look.colour, "alpha": 0.3, "markersize": SIZE / 2, "mew": 0}
    axes.plot(seeds[x], seeds["top1"], look.marker, label=f"_seeds of {name}", **faint)
    axes.plot(row[x], row["top1"], look.marker, color=look.colour, markersize=SIZE, mec="white", mew=0.6, label=name)


def _bars(row: Mapping[Any, Any], x: str) -> Iterator[tuple[_intervals.Way, float, float, float]]:
    """Yield the intervals of a variant: the axis, the position on the other axis, and both ends."""
    if pd.notna(row["top1_low"]):
        yield "y", row[x], row["top1_low"], row["top1_high"]
    if pd.notna(row.get(f"{x}_low")):
        yield "x", row["top1"], row[f"{x}_low"], row[f"{x}_high"]


def _lowest(x: pd.Series) -> float:
    """Return the lower limit of the x axis: a cost cannot be negative."""
    return float(x.min() / 10) if _scales.spans_decades(x) else 0.0


def _front(axes: Axes, summary: pd.DataFrame, x: str, *, lower_is_better: bool) -> list[_near_points.Segment]:
    """Draw the Pareto front as a stepped line; return its vertical and horizontal parts."""
    best = summary.sort_values([x, "top1"], ascending=[lower_is_better, False])
    front = best[best["top1"] > best["top1"].cummax().shift(fill_value=float("-inf"))]
    points = list(front.sort_values(x)[[x, "top1"]].itertuples(index=False, name=None))
    parts: list[_near_points.Segment] = []
    for (left, low), (right, high) in pairwise(points):
        corner = (right, low) if lower_is_better else (left, high)
        parts += [((left, low), corner), (corner, (right, high))]
    look: dict[str, Any] = {"color": style.QUIET, "linewidth": 0.9, "linestyle": (0, (1, 2)), "zorder": 1}
    for start, end in parts:
        axes.plot(*zip(start, end, strict=True), label="_front", **look)
    return parts


def _limits(axes: Axes, x: list[float]) -> None:
    """Set the limits: with space for names, accuracy between 0 and 100, and costs from 0."""
    _scales.fit(axes, "x", x)
    axes.margins(x=0.18, y=0.1)
    axes.set_xlim(left=max(axes.get_xlim()[0], 0 if axes.get_xscale() == "linear" else min(x) / 10))
    _scales.percent(axes, "y")
    _scales.fit(axes, "y", [])
