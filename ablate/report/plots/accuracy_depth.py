"""Test top-1 against the number of blocks: a line per mixer, with 95 % t intervals over seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _lines, style

TITLE = "Accuracy and depth"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    return _lines.draw(data, ax, width, TITLE, ("depth", "Depth (blocks)"), ("top1", "Test top-1 (%)"))
