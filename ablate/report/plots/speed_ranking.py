"""In how many modes the variant of a row is faster than that of a column; the fastest come first.

A variant is faster if the 95 % interval of the ratio of rates, paired by round, is above 1. A cell shows the number of
modes in which the row is faster, of those in which both were measured; below, after ≈, the undecided ones. A mode
includes the device and the reference batch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _matrix, frames, notes, style

TITLE = "Speed ranking"
INPUT = "rankings"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a frame of rankings; return the axes."""
    axes = style.prepare(ax, TITLE, "", "", width)
    if not frames.has(data, "one", "other", "verdict"):
        notes.say_nothing(axes)
        return axes
    faster, together = ranking(data)
    slower = faster.T
    undecided = together - faster - slower
    lead = ((faster - slower) / together.where(together > 0)).astype(float)
    names = [f"{number} {name}" for number, name in enumerate(lead.index, 1)]
    numbers = [str(number) for number in range(1, len(names) + 1)]
    texts = faster.astype(str) + "/" + together.astype(str) + ("\n≈" + undecided.astype(str)).where(undecided > 0, "")
    values = lead.set_axis(names).set_axis(numbers, axis=1)
    taken = _matrix.draw(axes, values, texts, (-1.0, 1.0), "modes faster minus slower")
    axes.set_xlabel("than", fontsize=style.TEXT_POINTS)
    axes.grid(visible=False)
    notes.say_missing(axes, [str(name) for name in data["one"].cat.categories], list(lead.index), taken)
    return axes


def ranking(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return in how many modes each variant is faster than each other one, and in how many both were measured.

    Both tables are square, by variant; the one with the largest lead comes first.
    """
    known = [str(name) for name in data["one"].cat.categories]
    faster, together = (np.zeros((len(known), len(known)), dtype=int) for _ in range(2))
    one, other = data["one"].cat.codes.to_numpy(), data["other"].cat.codes.to_numpy()
    verdicts = data["verdict"].to_numpy()
    for ends, verdict in (((one, other), "faster"), ((other, one), "slower")):
        np.add.at(together, ends, 1)
        np.add.at(faster, ends, verdicts == verdict)
    met = np.flatnonzero(together.sum(axis=1))
    lead = (faster - faster.T).sum(axis=1)[met] / together.sum(axis=1)[met]
    order = met[np.argsort(-lead, kind="stable")]
    names = [known[at] for at in order]
    tables = [pd.DataFrame(table[np.ix_(order, order)], names, names) for table in (faster, together)]
    return tables[0], tables[1]
