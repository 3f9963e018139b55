"""Names of variants written in a figure: what both ways of placing them share.

`_near_points.py` writes names near their points, `_line_ends.py` writes them right of the axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ablate.report.drawing import _key, notes
from ablate.report.drawing.style import INK, TEXT_POINTS

Array = NDArray[np.float64]

MOST = 40  # names that a figure has room for
HALO = [withStroke(linewidth=2.5, foreground="white")]
_PLACED = ContextVar("placed", default=True)


@contextmanager
def unplaced() -> Iterator[None]:
    """Write names at their points within the block: the figure's data is the same, and drawing is faster."""
    token = _PLACED.set(False)
    try:
        yield
    finally:
        _PLACED.reset(token)


def are_placed() -> bool:
    """Return whether names are to be moved to free places."""
    return _PLACED.get()


@dataclass(frozen=True)
class Name:
    """A variant's name, the point it belongs to in data coordinates, and the colour of the line to the point."""

    text: str
    point: tuple[float, float]
    colour: str


def size(ax: Axes, text: str) -> Array:
    """Return the width and height of a text, in pixels."""
    probe = ax.text(0, 0, text, fontsize=TEXT_POINTS, transform=ax.transAxes, parse_math=False)
    found = probe.get_window_extent().size
    probe.remove()
    return np.asarray(found)


def text_style() -> dict[str, Any]:
    """Return the text properties of a name."""
    return {
        "fontsize": TEXT_POINTS,
        "color": INK,
        "path_effects": HALO,
        "annotation_clip": False,
        "parse_math": False,
        "zorder": 5,
    }


def leader(name: Name, end: tuple[float, float]) -> dict[str, Any]:
    """Return the properties of a thin line from a place on the name's box to its point."""
    # Without a patch to end at and a gap at the text, which matplotlib would search for by bisection.
    near = {"patchA": None, "shrinkA": 0, "relpos": end}
    return {"arrowstyle": "-", "color": name.colour, "linewidth": 0.8, "shrinkB": 4, **near}


def numbered(ax: Axes, names: Sequence[Name]) -> list[Name]:
    """Return numbers in place of the names, and write their key below the axes."""
    _key.write(ax, [name.text for name in names])
    return [replace(name, text=str(number)) for number, name in enumerate(names, 1)]


def chosen(ax: Axes, names: Sequence[Name]) -> Sequence[Name]:
    """Return all names; if there are too many, the first, the highest and the lowest, with a note below the axes."""
    if len(names) <= MOST:
        return names
    order = sorted(range(1, len(names)), key=lambda at: (names[at].point[1], names[at].text))
    low = MOST // 2
    kept = sorted([0, *order[:low], *order[low - MOST + 1 :]])
    notes.below(ax, f"{MOST} of {len(names)} are named: the first, the highest and the lowest")
    return [names[at] for at in kept]
