"""A matrix of coloured cells with their numbers; if these do not fit, with a colour bar."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.ticker import MaxNLocator

from ablate.report.drawing import _scales, style

COLOURS = "cividis"  # suits colour-blind readers, and grey-scale prints
ON_DARK, ON_LIGHT = "#fefefe", "#101010"  # not the neutral colours, which the report's dark page replaces


def draw(axes: Axes, values: pd.DataFrame, texts: pd.DataFrame, limits: tuple[float, float], bar: str) -> float:
    """Draw `values`, NaN as a dash, with `texts` written in the cells; the index names rows and the columns columns.

    Args:
        texts: of the same shape, one or two lines each; if two do not fit, only the first is written.
        limits: the values of the darkest and the lightest colour.
        bar: the label of the colour bar, if there is one.

    Returns:
        The width of the row names, in points.
    """
    letters = max(16, int(0.35 * style.width_of(axes) / style.LETTER))
    names = [textwrap.fill(str(name), letters) for name in values.index]
    wide = _wide(axes, names) / len(values.columns)
    high = max(style.TEXT_LINE * max(name.count("\n") + 1 for name in names) + 4, min(0.6 * wide, 30.0))
    style.grow(axes, high * len(values) - style.height_of(axes) + 16)
    written = _fitting(texts, wide, high)
    look = {"cmap": COLOURS, "linewidths": 0.6, "linecolor": "white", "cbar": False}
    seaborn.heatmap(values, ax=axes, vmin=limits[0], vmax=limits[1], xticklabels=False, yticklabels=False, **look)
    axes.tick_params(length=0)
    axes.set_yticks(np.arange(len(names)) + 0.5, names, rotation=0, parse_math=False)
    _columns(axes, [str(name) for name in values.columns], wide)
    if written is None:
        _bar(axes, bar)
    else:
        _write(axes, values, written, limits)
    return _taken(names)


def _wide(axes: Axes, names: Sequence[str]) -> float:
    """Return the width left for the cells next to the row names, in points."""
    return max(60.0, style.width_of(axes) + 30 - _taken(names))


def _taken(names: Sequence[str]) -> float:
    return style.LETTER * max(len(line) for name in names for line in name.split("\n"))


def _fitting(texts: pd.DataFrame, wide: float, high: float) -> pd.DataFrame | None:
    """Return the texts, or their first lines, or None: the longest form that fits into the cells."""
    for candidate in (texts, texts.map(lambda text: text.split("\n")[0])):
        lines = [text.split("\n") for text in candidate.to_numpy().ravel()]
        broad = max(len(line) for text in lines for line in text) * style.LETTER
        if broad + 3 <= wide and max(map(len, lines)) * style.TEXT_LINE <= high:
            return candidate
    return None


def _columns(axes: Axes, names: Sequence[str], wide: float) -> None:
    """Write the column names, vertically if they are long, and only every Nth if they would overlap."""
    longest = max(map(len, names)) * style.LETTER
    upright = longest + 4 > wide
    every = max(1, int(np.ceil(style.TEXT_LINE / wide))) if upright else 1
    places = np.arange(0, len(names), every)
    axes.set_xticks(places + 0.5, names[::every], rotation=90 if upright else 0, parse_math=False)
    if upright:
        style.grow(axes, longest)


def _write(axes: Axes, values: pd.DataFrame, texts: pd.DataFrame, limits: tuple[float, float]) -> None:
    middle = sum(limits) / 2
    for (row, column), value in np.ndenumerate(values.to_numpy(dtype=float)):
        missing = bool(np.isnan(value))
        axes.text(
            column + 0.5,
            row + 0.5,
            "–" if missing else str(texts.iat[row, column]),
            ha="center",
            va="center",
            fontsize=style.TEXT_POINTS,
            color=style.QUIET if missing else ON_LIGHT if value > middle else ON_DARK,
        )


def _bar(axes: Axes, name: str) -> None:
    mesh = next(item for item in axes.collections if isinstance(item, QuadMesh))
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10])
    bar = style.figure_of(axes).colorbar(mesh, ax=axes, fraction=0.06, pad=0.02, ticks=ticks, format=_scales.Units())
    bar.set_label(name, fontsize=style.TEXT_POINTS, color=style.INK)
    bar.ax.tick_params(labelsize=style.TEXT_POINTS, labelcolor=style.INK, color=style.RULE)
    bar.outline.set_visible(False)
