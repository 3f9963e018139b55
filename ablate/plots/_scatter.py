"""Test top-1 against another measured column: a marker a variant, with intervals over seeds and the seeds behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ablate.plots import _labels, _style
from ablate.table import summarise

LOG_FROM = 10.0  # largest over smallest value from which on the axis is logarithmic


def draw(data: pd.DataFrame, ax: Axes | None, title: str, x: str, x_title: str) -> Axes:
    """Draw `top1` against the column `x` of a study's frame."""
    summary = summarise(data).dropna(subset=["top1", x])
    rows = {str(row["variant"]): row for row in summary.to_dict("records")}
    extra = _labels.extra_height(rows, _labels.BESIDE_WIDTH, free=8)
    axes = _style.prepare(ax, title, x_title, "Test top-1 (%)", extra)
    looks = _style.looks(data)
    for name, row in rows.items():
        look, seeds = looks[name], data[data["variant"] == name]
        axes.plot(seeds[x], seeds["top1"], look.marker, color=look.colour, alpha=0.3, markersize=4, markeredgewidth=0)
        for start, end in _bars(row, x):
            axes.plot([start[0], end[0]], [start[1], end[1]], color=look.colour, linewidth=1.4)
        axes.plot(row[x], row["top1"], look.marker, color=look.colour, markersize=7.5, markeredgecolor="white")
    if rows:
        _limits(axes, summary[x])
    _style.say_missing(axes, data, list(rows))
    names = [_labels.Name(name, (float(row[x]), float(row["top1"])), looks[name].colour) for name, row in rows.items()]
    _labels.beside(axes, names, [bar for row in rows.values() for bar in _bars(row, x)])
    return axes


def _bars(row: Mapping[Any, Any], x: str) -> Iterator[_labels.Segment]:
    """The intervals of a variant as lines; none for what has no interval."""
    if pd.notna(row["top1_low"]):
        yield (row[x], row["top1_low"]), (row[x], row["top1_high"])
    if pd.notna(row.get(f"{x}_low")):
        yield (row[f"{x}_low"], row["top1"]), (row[f"{x}_high"], row["top1"])


def _limits(axes: Axes, x: pd.Series) -> None:
    """Room for the names; accuracy stays between 0 and 100; large numbers with their unit."""
    if x.max() > LOG_FROM * x.min() > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.margins(x=0.18, y=0.1)
    axes.set_xlim(left=max(axes.get_xlim()[0], 0 if axes.get_xscale() == "linear" else x.min() / 10))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -1.5), min(high, 101.5))
