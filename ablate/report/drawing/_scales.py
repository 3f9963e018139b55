"""Scales and ticks: logarithmic if values span decades, with units for large numbers, and with space for labels."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ablate.report.drawing.style import height_of, width_of

LOG_FROM = 10.0  # ratio of the largest to the smallest value above which an axis is logarithmic
STEPS = [1, 2, 2.5, 5, 10]
WIDE, HIGH = 42.0, 24.0  # size of a tick label, in points


class Units(EngFormatter):
    """Formats large numbers with a unit, 12 k, and others unchanged."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick."""
        return str(super().__call__(x, pos)) if abs(x) >= 1000 else f"{x:g}".replace("-", "\N{MINUS SIGN}")


def fit(ax: Axes, name: str, values: Iterable[float], *, log: bool = False) -> None:
    """Set the scale and the ticks of the axis "x" or "y" for these values.

    Args:
        log: make the axis logarithmic even if the values span little.
    """
    numbers = np.asarray([value for value in values if np.isfinite(value)], dtype=float)
    axis, labels = _capacity(ax, name)
    if spans_decades(numbers, 1.0 if log else LOG_FROM):
        _logarithmic(ax, name, math.log10(numbers.max() / numbers.min()), labels)
    else:
        axis.set_major_locator(MaxNLocator(max(2, min(6, int(labels))), steps=STEPS))
    axis.set_major_formatter(Units())


def spans_decades(values: Iterable[float], times: float = LOG_FROM) -> bool:
    """Return whether positive values span more than a factor, so that their axis is logarithmic."""
    numbers = [value for value in values if np.isfinite(value)]
    return bool(numbers) and min(numbers) > 0 and (times <= 1 or max(numbers) > times * min(numbers))


def _capacity(ax: Axes, name: str) -> tuple[Axis, float]:
    """Return an axis, and how many labels fit on it."""
    return (ax.xaxis, width_of(ax) / WIDE) if name == "x" else (ax.yaxis, height_of(ax) / HIGH)


def _logarithmic(ax: Axes, name: str, decades: float, labels: float) -> None:
    axis = ax.xaxis if name == "x" else ax.yaxis
    (ax.set_xscale if name == "x" else ax.set_yscale)("log")
    steps = next((subs for subs in ((1, 2, 5), (1, 3)) if (decades + 0.6) * len(subs) <= labels), (1,))
    axis.set_major_locator(LogLocator(subs=steps, numticks=max(3, int(labels) + 1)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def at_values(ax: Axes, values: Iterable[float]) -> None:
    """Set the ticks of the x axis at these values, without labels that would overlap; logarithmic for wide ranges."""
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
    """Limit an axis of percentages to 0 and 100."""
    low, high = ax.get_xlim() if name == "x" else ax.get_ylim()
    (ax.set_xlim if name == "x" else ax.set_ylim)(max(low, -1.5), min(high, 101.5))
