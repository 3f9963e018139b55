"""Training loss per epoch: the line is the mean over seeds, the band spans the lowest to the highest seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _curve

TITLE = "Training loss"
TAKES = "curves"


def draw(data: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a study's training curves; returns the axes."""
    return _curve.draw(data, ax, TITLE, "train_loss", "Loss (nats)")
