"""Names written right of the axes, level with the ends of their lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from scipy.optimize import isotonic_regression

from ablate.report.drawing._labels import Array, Name, are_placed, chosen, leader, numbered, size, text_style
from ablate.report.drawing.style import LETTER, TEXT_LINE, figure_of, grow, height_of, width_of

WIDTH = 20  # characters in a line of a name, at least
LEFT = 1.05  # where the names begin, as a share of the axes' width


def write(ax: Axes, names: Sequence[Name]) -> None:
    """Write each name right of the axes, level with its point or as near to it as the other names allow.

    A plot's own figure grows with them. Where it would have to grow too much, numbers stand for the names; of very many
    names, only some are written.
    """
    if not names:
        return
    names = chosen(ax, names)
    lines = sum(len(_wrapped(ax, name.text)) for name in names)
    if lines * TEXT_LINE > 1.4 * height_of(ax):
        names, lines = numbered(ax, names), len(names)
    grow(ax, lines * (TEXT_LINE + 1) - height_of(ax))
    names = sorted(names, key=lambda name: (name.point[1], name.text))
    written = [_write(ax, name) for name in names]
    if not are_placed():
        return
    figure_of(ax).draw_without_rendering()
    frame = ax.get_window_extent()
    heights = np.array([size(ax, text.get_text())[1] for text in written]) + 3
    level = np.array([ax.transData.transform(name.point)[1] for name in names]) - frame.y0
    for text, y in zip(written, _spread(level, heights, frame.height), strict=True):
        text.xyann = (LEFT, y / frame.height)


def _wrapped(ax: Axes, text: str) -> list[str]:
    """Return the lines of a name; line breaks in it are kept."""
    letters = max(WIDTH, int(0.3 * width_of(ax) / LETTER))
    return [line for part in text.split("\n") for line in textwrap.wrap(part, letters)]


def _write(ax: Axes, name: Name) -> Annotation:
    return ax.annotate(
        "\n".join(_wrapped(ax, name.text)),
        xy=name.point,
        xytext=(LEFT, 0.5),
        textcoords="axes fraction",
        ha="left",
        va="center",
        arrowprops=leader(name, (0, 0.5)),
        **text_style(),
    )


def _spread(level: Array, heights: Array, total: float) -> Array:
    """Return the middles nearest to `level`, in order, that leave each name its height within the total height."""
    heights = heights * min(1.0, total / heights.sum())
    below = np.cumsum(heights) - heights / 2
    free = np.clip(isotonic_regression(level - below).x, 0, total - heights.sum())
    return np.asarray(free + below)
