"""Test top-1 against multiply-accumulate operations for one image.

Means and 95 % t intervals over seeds; faint points are single seeds, the dotted line is the Pareto front of the means.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _scatter, style

TITLE = "Accuracy and computation"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    return _scatter.draw(data, ax, width, TITLE, "macs", "MACs for one image")
