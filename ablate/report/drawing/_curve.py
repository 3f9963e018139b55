"""A value per epoch: per variant, a line for the mean over seeds and a band from the lowest to the highest seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.report.drawing import _labels, _line_ends, frames, notes, palette, style

MOST_EPOCHS = 3000  # drawn in one figure, over all variants


def draw(data: pd.DataFrame, ax: Axes | None, width: float, title: str, y: str, y_title: str) -> Axes:
    """Draw the column `y` of a frame of training curves."""
    axes = style.prepare(ax, title, "Epoch", y_title, width)
    data = frames.ordered(data)
    if not frames.has(data, "epoch", y):
        notes.say_nothing(axes)
        return axes
    measured, every = _thinned(data.dropna(subset=["epoch", y]))
    drawn = [name for name in palette.variants(data) if (measured["variant"] == name).any()]
    looks = palette.looks(data)
    names = []
    for at, name in enumerate(drawn):
        curve = measured[measured["variant"] == name].groupby("epoch")[y].agg(["mean", "min", "max"])
        _line(axes, curve, looks[name], name, at / len(drawn))
        end = float(curve.index[-1]), float(curve["mean"].iloc[-1])
        names.append(_labels.Name(name, end, looks[name].colour))
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if every > 1:
        notes.below(axes, f"One in {every} epochs is drawn.")
    notes.say_missing(axes, palette.variants(data), drawn)
    _line_ends.write(axes, names)
    return axes


def _thinned(measured: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return every Nth epoch and the last one, which limits the size of a page of many variants; and N."""
    by_variant = measured.groupby("variant", observed=True)["epoch"]
    every = max(1, int(by_variant.nunique().sum()) // MOST_EPOCHS)
    last = by_variant.transform("max")
    return measured[(measured["epoch"] % every == 0) | (measured["epoch"] == last)], every


def _line(axes: Axes, curve: pd.DataFrame, look: palette.Look, name: str, shift: float) -> None:
    """Draw one variant's mean, its band, and a few markers, at other epochs than those of other variants."""
    ends = curve["min"], curve["max"]
    axes.fill_between(curve.index, *ends, color=look.colour, alpha=0.15, linewidth=0, label=f"_seeds of {name}")
    step = max(1, len(curve) // 6)
    axes.plot(
        curve.index,
        curve["mean"],
        color=look.colour,
        linestyle=look.line,
        linewidth=1.4,
        label=name,
        marker=look.marker,
        markersize=3.5,
        markevery=(int(shift * step), step),
    )
