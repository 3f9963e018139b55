"""Test top-1 over two crossed axes: the mean over seeds and half the width of its 95 % t interval."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _matrix, _series, frames, notes, palette, style

TITLE = "Accuracy, two axes"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; return the axes."""
    axes = style.prepare(ax, TITLE, "", "", width)
    data = frames.ordered(data)
    summary = frames.summary(data, "top1")
    if summary.empty:
        notes.say_nothing(axes)
        return axes
    found = _series.crossed(data[data["variant"].isin(summary["variant"])])
    if found is None:
        notes.say_nothing(axes, "no two axes are crossed among the measured variants")
        return axes
    cells = summary.assign(variant=summary["variant"].astype(str)).join(found.places, on="variant")
    texts = [_text(mean, low) for mean, low in zip(cells["top1"], cells["top1_low"], strict=True)]
    values = _table(cells, "top1")
    limits = float(cells["top1"].min()), float(cells["top1"].max())
    taken = _matrix.draw(axes, values, _table(cells.assign(text=texts), "text").fillna(""), limits, "Top-1 (%)")
    axes.set_xlabel(found.column, fontsize=style.TEXT_POINTS)
    axes.set_ylabel(found.row, fontsize=style.TEXT_POINTS)
    axes.grid(visible=False)
    notes.say_missing(axes, palette.variants(data), list(cells["variant"]), taken)
    return axes


def _text(mean: float, low: float) -> str:
    return f"{mean:.1f}" if pd.isna(low) else f"{mean:.1f}\n±{mean - low:.1f}"


def _table(cells: pd.DataFrame, values: str) -> pd.DataFrame:
    """Return values by row and column: numbers in ascending order, words in the study's order."""
    table = cells.pivot(index="row", columns="column", values=values)
    return table.reindex(index=_order(cells["row"]), columns=_order(cells["column"]))


def _order(values: pd.Series) -> list[object]:
    found = list(values.unique())
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found
