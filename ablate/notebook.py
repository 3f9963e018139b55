"""What a notebook asks for in one call, beside `ablate.frame`: a study's plot, and its training curves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from ablate import table
from ablate.paths import Root
from ablate.plots import PLOTS
from ablate.study import Study, load


def curves(
    study: Study | str, scale: str | None = None, *, seeds: int | None = None, root: str | Path | None = None
) -> pd.DataFrame:
    """A row per run and epoch of a study, with `variant` and `seed`; arguments as for `ablate.frame`."""
    study = load(study) if isinstance(study, str) else study
    scale = study.scale(scale)
    return table.curves(study, scale, table.study_records(study, scale, Root.at(root).results, seeds))


def plot(
    name: str,
    study: Study | str,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one of `ablate.plots.PLOTS` from a study's records; the other arguments are those of `ablate.frame`.

    Args:
        ax: axes to draw on; None makes a figure, which is the returned axes' `figure`.
    """
    drawn = PLOTS[name]
    data = (curves if drawn.TAKES == "curves" else table.frame)(study, scale, seeds=seeds, root=root)
    axes: Axes = drawn.draw(data, ax)
    return axes
