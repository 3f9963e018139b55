"""Intervals as lines; an arrow at the end of what the axis can show says that one goes on beyond."""

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
NOTE = "An arrow at the end of a bar: the interval goes on beyond what can be."
_ARROWS = {"x": (CARETLEFT, CARETRIGHT), "y": (CARETDOWN, CARETUP)}


def segment(way: Way, at: float, low: float, high: float, limits: Limits | None) -> Segment:
    """The part of an interval within the limits, as a line along "x" or "y"."""
    least, most = limits or (low, high)
    ends = max(low, least), min(high, most)
    return ((ends[0], at), (ends[1], at)) if way == "x" else ((at, ends[0]), (at, ends[1]))


def draw(axes: Axes, way: Way, at: float, low: float, high: float, colour: str, limits: Limits | None = None) -> bool:
    """Draw an interval along "x" or "y", at a place on the other axis; whether an end of it lies beyond the limits."""
    start, end = segment(way, at, low, high, limits)
    axes.plot(*zip(start, end, strict=True), color=colour, linewidth=WIDTH, label="_interval")
    least, most = limits or (low, high)
    beyond = [(start, low < least), (end, high > most)]
    for (place, outside), arrow in zip(beyond, _ARROWS[way], strict=True):
        if outside:
            look: dict[str, Any] = {"color": colour, "markersize": 5, "markeredgewidth": 0, "clip_on": False}
            axes.plot(*place, marker=arrow, label="_beyond", **look)
    return low < least or high > most


def say_beyond(axes: Axes, beyond: Sequence[bool]) -> None:
    """Say below the axes what an arrow means, where there is one."""
    if any(beyond):
        notes.below(axes, NOTE)
