"""Intervals as lines; an arrow marks an interval that is cut at the end of the possible values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

from ablate.report.drawing import notes

Limits = tuple[float, float]
Segment = tuple[tuple[float, float], tuple[float, float]]
Way = Literal["x", "y"]

PERCENT: Limits = (0.0, 100.0)
WIDTH = 1.2  # of a line, in points
NOTE = "Arrow: the interval is cut at the limit of possible values."
_ARROWS = {"x": (CARETLEFT, CARETRIGHT), "y": (CARETDOWN, CARETUP)}


def segment(way: Way, at: float, low: float, high: float, limits: Limits | None) -> Segment:
    """Return the part of an interval within the limits, as a line along "x" or "y"."""
    least, most = limits or (low, high)
    ends = max(low, least), min(high, most)
    return ((ends[0], at), (ends[1], at)) if way == "x" else ((at, ends[0]), (at, ends[1]))


def draw(axes: Axes, way: Way, at: float, low: float, high: float, colour: str, limits: Limits | None = None) -> bool:
    """Draw an interval along "x" or "y", at a position on the other axis; return whether it was cut."""
    start, end = segment(way, at, low, high, limits)
    axes.plot(*zip(start, end, strict=True), color=colour, linewidth=WIDTH, label="_interval")
    least, most = limits or (low, high)
    beyond = [(start, low < least), (end, high > most)]
    for (place, outside), arrow in zip(beyond, _ARROWS[way], strict=True):
        if outside:
            look: dict[str, Any] = {"color": colour, "markersize": 5, "markeredgewidth": 0, "clip_on": False}
            axes.plot(*place, marker=arrow, label="_beyond", **look)
    return low < least or high > most


def note_beyond(axes: Axes, beyond: Sequence[bool]) -> None:
    """Explain the arrow below the axes, if there is one."""
    if any(beyond):
        notes.below(axes, NOTE)
