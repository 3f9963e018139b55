"""Scales and ticks: logarithmic where values span decades, with units for large ones, and room for every label."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ablate.report.drawing.style import height_of, width_of

LOG_FROM = 10.0  # largest over smallest value from which on an axis is logarithmic
STEPS = [1, 2, 2.5, 5, 10]
WIDE, HIGH = 42.0, 24.0  # points that a tick's label takes


class Units(EngFormatter):
    """Large numbers with their unit, 12 k, and all others as they are."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The label of a tick."""
        return str(super().__call__(x, pos)) if abs(x) >= 1000 else f"{x:g}".replace("-", "\N{MINUS SIGN}")


def fit(ax: Axes, name: str, values: Iterable[float], *, log: bool = False) -> None:
    """Give the axis "x" or "y" the scale and the ticks that show these values.

    Args:
        log: make it logarithmic even where the values span little.
    """
    numbers = np.asarray([value for value in values if np.isfinite(value)], dtype=float)
    axis, room = _room(ax, name)
    if spans_decades(numbers, 1.0 if log else LOG_FROM):
        _logarithmic(ax, name, math.log10(numbers.max() / numbers.min()), room)
    else:
        axis.set_major_locator(MaxNLocator(max(2, min(6, int(room))), steps=STEPS))
    axis.set_major_formatter(Units())


def spans_decades(values: Iterable[float], times: float = LOG_FROM) -> bool:
    """Whether the largest of some positive values is so many times the smallest that their axis is logarithmic."""
    numbers = [value for value in values if np.isfinite(value)]
    return bool(numbers) and min(numbers) > 0 and (times <= 1 or max(numbers) > times * min(numbers))


def _room(ax: Axes, name: str) -> tuple[Axis, float]:
    """An axis, and how many labels it has room for."""
    return (ax.xaxis, width_of(ax) / WIDE) if name == "x" else (ax.yaxis, height_of(ax) / HIGH)


def _logarithmic(ax: Axes, name: str, decades: float, room: float) -> None:
    axis = ax.xaxis if name == "x" else ax.yaxis
    (ax.set_xscale if name == "x" else ax.set_yscale)("log")
    steps = next((subs for subs in ((1, 2, 5), (1, 3)) if (decades + 0.6) * len(subs) <= room), (1,))
    axis.set_major_locator(LogLocator(subs=steps, numticks=max(3, int(room) + 1)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def at_values(ax: Axes, values: Iterable[float]) -> None:
    """Ticks of the x axis at these values, logarithmic where they span much, but for labels too near to another."""
    numbers = sorted(set(values))
    if numbers[0] > 0 and numbers[-1] >= 4 * numbers[0]:
        ax.set_xscale("log", base=2)
    places = np.log(numbers) if ax.get_xscale() == "log" else np.asarray(numbers, dtype=float)
    span = max(places[-1] - places[0], 1e-9)
    shown: list[int] = []
    for at, place in enumerate(places):
        if not shown or (place - places[shown[-1]]) / span * 0.6 * width_of(ax) >= 16:
            shown.append(at)
    ax.xaxis.set_major_locator(FixedLocator([numbers[at] for at in shown]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(Units())


def percent(ax: Axes, name: str) -> None:
    """Limits of an axis of percentages: it does not reach beyond 0 and 100."""
    low, high = ax.get_xlim() if name == "x" else ax.get_ylim()
    (ax.set_xlim if name == "x" else ax.set_ylim)(max(low, -1.5), min(high, 101.5))
