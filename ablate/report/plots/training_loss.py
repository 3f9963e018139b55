"""Training loss per epoch: the mean over seeds, in a band from the lowest to the highest seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _curve, style

TITLE = "Training loss"
INPUT = "curves"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's training curves; returns the axes."""
    return _curve.draw(data, ax, width, TITLE, "train_loss", "Loss (nats)")
