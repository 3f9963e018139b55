"""Test top-1 over two crossed axes: the mean over seeds and half the width of its 95 % t interval."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _frames, _matrix, _notes, _palette, _style
from ablate.plots._series import FIELDS

TITLE = "Accuracy, two axes"
TAKES = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = _style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    axes = _style.prepare(ax, TITLE, "", "", width)
    data = _frames.ordered(data)
    summary = _frames.summary(data, "top1")
    if summary.empty:
        _notes.say_nothing(axes)
        return axes
    found = crossed(data)
    if found is None:
        _notes.say_nothing(axes, "no two axes are crossed among the variants that are measured")
        return axes
    rows, columns = found
    places = data.astype({"variant": str}).groupby("variant")[[rows, columns]].first()
    cells = summary.assign(variant=summary["variant"].astype(str)).join(places, on="variant")
    texts = [_text(mean, low) for mean, low in zip(cells["top1"], cells["top1_low"], strict=True)]
    values = _table(cells, rows, columns, "top1")
    limits = float(cells["top1"].min()), float(cells["top1"].max())
    taken = _matrix.draw(
        axes, values, _table(cells.assign(text=texts), rows, columns, "text").fillna(""), limits, "Top-1 (%)"
    )
    axes.set_xlabel(columns, fontsize=_style.TEXT_POINTS)
    axes.set_ylabel(rows, fontsize=_style.TEXT_POINTS)
    axes.grid(visible=False)
    _notes.say_missing(axes, _palette.variants(data), list(cells["variant"]), taken)
    return axes


def crossed(data: pd.DataFrame) -> tuple[str, str] | None:
    """The two fields that are crossed in a frame, that with more values first; None where there are no such two.

    Each variant has a pair of values of its own, and there are more of them than changing one field at a time gives.
    """
    variants = data.drop_duplicates("variant")
    varied = [field for field in ("mixer", *FIELDS) if field in data and variants[field].nunique() > 1]
    for pair in combinations(varied, 2):
        sizes = [int(variants[field].nunique()) for field in pair]
        if not variants.duplicated(list(pair)).any() and len(variants) > sum(sizes) - 1:
            return pair if sizes[0] >= sizes[1] else (pair[1], pair[0])
    return None


def _text(mean: float, low: float) -> str:
    return f"{mean:.1f}" if pd.isna(low) else f"{mean:.1f}\n±{mean - low:.1f}"


def _table(cells: pd.DataFrame, rows: str, columns: str, values: str) -> pd.DataFrame:
    """Values by row and column: numbers ascending, words in the study's order."""
    table = cells.pivot(index=rows, columns=columns, values=values)
    return table.reindex(index=_order(cells[rows]), columns=_order(cells[columns]))


def _order(values: pd.Series) -> list[object]:
    found = list(values.unique())
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found
