"""Top-1 on the held-out part per epoch: the line is the mean over seeds, the band spans lowest to highest seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _curve

TITLE = "Held-out accuracy"
TAKES = "curves"


def draw(data: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a study's training curves; returns the axes."""
    return _curve.draw(data, ax, TITLE, "heldout_top1", "Held-out top-1 (%)")
