"""A value per epoch: the mean over seeds as a line for each variant, from the lowest to the highest seed as a band."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.plots import _labels, _style


def draw(data: pd.DataFrame, ax: Axes | None, title: str, y: str, y_title: str) -> Axes:
    """Draw the column `y` of a frame of training curves."""
    measured = data.dropna(subset=[y]) if y in data else data.iloc[:0]
    drawn = [name for name in _style.variants(data) if (measured["variant"] == name).any()]
    axes = _style.prepare(ax, title, "Epoch", y_title, _labels.extra_height(drawn, _labels.END_WIDTH, free=12))
    looks = _style.looks(data)
    names = []
    for name in drawn:
        curve = measured[measured["variant"] == name].groupby("epoch")[y].agg(["mean", "min", "max"])
        _line(axes, curve, looks[name])
        end = float(curve.index[-1]), float(curve["mean"].iloc[-1])
        names.append(_labels.Name(name, end, looks[name].colour))
    if drawn:
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    _style.say_missing(axes, data, drawn)
    _labels.at_ends(axes, names)
    return axes


def _line(axes: Axes, curve: pd.DataFrame, look: _style.Look) -> None:
    """One variant's mean and band; a single epoch is a point, which a line would not show."""
    axes.fill_between(curve.index, curve["min"], curve["max"], color=look.colour, alpha=0.15, linewidth=0)
    marker = look.marker if len(curve) == 1 else ""
    axes.plot(curve.index, curve["mean"], color=look.colour, linestyle=look.line, marker=marker, linewidth=1.8)
