"""Time per image against the number of blocks, both logarithmic.

Each line has the exponent of the power law fitted to it, with its 95 % interval, and that of its MACs.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _scaling, style

TITLE = "Time and depth"
INPUT = "speed"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a frame of speeds; returns the axes."""
    return _scaling.draw(data, ax, width, TITLE, ("depth", "Depth (blocks)"))
