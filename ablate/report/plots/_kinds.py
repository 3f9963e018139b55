"""Draw an entry of the catalogue by its kind."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _curve, _lines, _rates, _scaling, _scatter
from ablate.report.drawing._rates import Rate
from ablate.report.plots._catalogue import AXIS_TITLES, DERIVED_FROM, Entry


def draw(entry: Entry, data: pd.DataFrame, ax: Axes | None, *, width: float) -> Axes:
    """Draw the entry's frame, on given axes or on a figure of its own; return the axes."""
    if entry.kind == "curve":
        return _curve.draw(data, ax, width, entry.title, entry.y, AXIS_TITLES[entry.y])
    if entry.kind == "scaling":
        x = entry.x, AXIS_TITLES[entry.x]
        return _scaling.draw(data, ax, width, entry.title, x, entry.y, DERIVED_FROM.get(entry.x, ()))
    if "throughput" in (entry.x, entry.y):
        data, rate = _rates.of(data)
    else:
        rate = Rate("", "")
    x, y = (_axis(column, rate) for column in (entry.x, entry.y))
    if entry.kind == "lines":
        return _lines.draw(data, ax, width, entry.title, x, y, rate.note)
    lower_is_better = entry.x != "throughput"
    return _scatter.draw(data, ax, width, entry.title, *x, lower_is_better=lower_is_better, note=rate.note)


def _axis(column: str, rate: Rate) -> tuple[str, str]:
    """The column to draw and the title of its axis."""
    return (rate.column, rate.title) if column == "throughput" else (column, AXIS_TITLES[column])
