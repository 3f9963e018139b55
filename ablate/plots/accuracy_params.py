"""Test top-1 against parameters: mean and 95 % t interval over seeds; the faint points are single seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _scatter

TITLE = "Accuracy and size"
TAKES = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a study's frame; returns the axes."""
    return _scatter.draw(data, ax, TITLE, "params", "Parameters")
