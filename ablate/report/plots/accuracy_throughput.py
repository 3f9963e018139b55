"""Test top-1 against images a second.

As measured by `ablate bench`, with quartiles of its windows, in the mode named below; where not all variants are, as
the runs saw while they trained. Means and 95 % t intervals over seeds; faint points are single seeds, the dotted line
is the Pareto front of the means.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _rates, _scatter, style

TITLE = "Accuracy and throughput"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; returns the axes."""
    data, rate = _rates.of(data)
    return _scatter.draw(data, ax, width, TITLE, rate.column, rate.title, least=False, note=rate.note)
