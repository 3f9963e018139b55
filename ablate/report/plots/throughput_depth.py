"""Images a second against the number of blocks: a line per mixer.

As measured by `ablate bench`, with quartiles of its windows, in the mode named below; where not all variants are, as
the runs saw while they trained, with 95 % t intervals over seeds.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _lines, _rates, style

TITLE = "Throughput and depth"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    data, rate = _rates.of(data)
    x, y = ("depth", "Depth (blocks)"), (rate.column, rate.title)
    return _lines.draw(data, ax, width, TITLE, x, y, rate.note)
