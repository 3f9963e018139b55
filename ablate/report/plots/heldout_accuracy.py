"""Top-1 on the held-out part per epoch: the mean over seeds, in a band from the lowest to the highest seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _curve, style

TITLE = "Held-out accuracy"
INPUT = "curves"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's training curves; returns the axes."""
    return _curve.draw(data, ax, width, TITLE, "heldout_top1", "Held-out top-1 (%)")
