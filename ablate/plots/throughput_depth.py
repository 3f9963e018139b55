"""Images a second in training against the number of blocks: a line per mixer, with 95 % t intervals over seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _lines, _style

TITLE = "Training speed and depth"
TAKES = "runs"
Y = ("images_per_s", "Training images/s")


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = _style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    return _lines.draw(data, ax, width, TITLE, ("depth", "Depth (blocks)"), Y)
