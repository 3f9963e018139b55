"""Test top-1 against images a second seen while training: means and 95 % t intervals; the faint points are seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _scatter

TITLE = "Accuracy and training speed"
TAKES = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a study's frame; returns the axes."""
    return _scatter.draw(data, ax, TITLE, "images_per_s", "Training images/s")
