"""In how many modes the variant of a row is faster than that of a column, by their medians; the fastest come first.

A mode is a device, a way to run on it and its headline batch; a pair is compared in those where both were measured.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _frames, _matrix, _notes, _palette, _style

TITLE = "Speed ranking"
TAKES = "speed"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = _style.WIDTH) -> Axes:
    """Draw a frame of speeds; returns the axes."""
    axes = _style.prepare(ax, TITLE, "", "", width)
    data = _frames.headline(_frames.ordered(data))
    if not _frames.has(data, "device", "mode", "batch", "images_per_s"):
        _notes.say_nothing(axes)
        return axes
    faster, together = ranking(data)
    share = faster / together.where(together > 0)
    names = [f"{number} {name}" for number, name in enumerate(share.index, 1)]
    numbers = [str(number) for number in range(1, len(names) + 1)]
    texts = faster.astype(int).astype(str) + "/" + together.astype(int).astype(str)
    values = share.set_axis(names).set_axis(numbers, axis=1)
    taken = _matrix.draw(axes, values, texts, (0.0, 1.0), "share of the modes")
    axes.set_xlabel("than", fontsize=_style.TEXT_POINTS)
    axes.grid(visible=False)
    _notes.say_missing(axes, _palette.variants(data), list(share.index), taken)
    return axes


def ranking(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """In how many modes each variant is faster than each other, and in how many both were measured.

    Both are square, by variant, from the one that is faster most often; the diagonal is 0.
    """
    rates = data.pivot_table(
        index=["device", "mode", "batch"], columns="variant", values="images_per_s", observed=True, sort=True
    )
    rows = rates.to_numpy(dtype=float).T
    with np.errstate(invalid="ignore"):
        faster = (rows[:, None] > rows[None]).sum(axis=2)
    together = (np.isfinite(rows)[:, None] & np.isfinite(rows)[None]).sum(axis=2)
    np.fill_diagonal(together, 0)
    share = np.divide(faster.sum(axis=1), np.maximum(together.sum(axis=1), 1))
    order = np.argsort(-share, kind="stable")
    names = [str(rates.columns[at]) for at in order]
    tables = [pd.DataFrame(table[np.ix_(order, order)], names, names) for table in (faster, together)]
    return tables[0], tables[1]
