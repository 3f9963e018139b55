"""Test top-1 against the numeric field that a study varies: a line per mixer, with 95 % t intervals over seeds.

Patch size and depth have their own plots.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _lines, _series, frames, notes, style

TITLE = "Accuracy along the axis"
INPUT = "runs"
OWN = ("patch_size", "depth")  # fields that have their own plot


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; return the axes."""
    measured = frames.ordered(data)
    if not frames.has(measured, "top1"):
        return _nothing(ax, width)
    field = _series.axis(measured.dropna(subset=["top1"]))
    if field is None or field in OWN:
        return _nothing(ax, width, "no two measured variants differ in a single numeric field")
    return _lines.draw(data, ax, width, TITLE, (field, field), ("top1", "Test top-1 (%)"))


def _nothing(ax: Axes | None, width: float, *why: str) -> Axes:
    axes = style.prepare(ax, TITLE, "", "", width)
    notes.say_nothing(axes, *why)
    return axes
