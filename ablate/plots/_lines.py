"""A measured column against a field of `Run`: a line per mixer, with 95 % t intervals over seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.plots import _frames, _labels, _notes, _palette, _scales, _style
from ablate.plots._series import series
from ablate.stats import t_interval


def draw(data: pd.DataFrame, ax: Axes | None, width: float, title: str, x: tuple[str, str], y: tuple[str, str]) -> Axes:
    """Draw one column against another.

    Args:
        x: a field of `Run`, and what to call it.
        y: a measured column, and what to call it.
    """
    axes = _style.prepare(ax, title, x[1], y[1], width)
    data = _frames.ordered(data)
    if not _frames.has(data, x[0], y[0]):
        _notes.say_nothing(axes)
        return axes
    measured = data.dropna(subset=[x[0], y[0]])
    lines, along = series(measured, x[0])
    if not lines:
        _notes.say_nothing(axes, f"no two variants that are measured differ in {x[1].lower()} alone")
        return axes
    looks = _palette.of_mixers({line.name: line.mixer for line in lines})
    ends = [_line(axes, line.rows.groupby(x[0])[y[0]], looks[line.name], line.name) for line in lines]
    _scales.at_values(axes, [value for line in lines for value in line.rows[x[0]]])
    if y[0].startswith("top1"):
        _scales.percent(axes, "y")
    else:
        _scales.fit(axes, "y", measured[y[0]])
    if along:
        _notes.below(axes, "Along a line also changes: " + ", ".join(along))
    _labels.at_ends(axes, ends)
    return axes


def _line(axes: Axes, groups: pd.api.typing.SeriesGroupBy, look: _palette.Look, name: str) -> _labels.Name:  # type: ignore[type-arg]
    """One line with its intervals; what to write at its end."""
    points = [(float(str(at)), t_interval(list(values))) for at, values in groups]
    xs, means = [at for at, _ in points], [interval.mean for _, interval in points]
    for at, interval in points:
        if interval.low is not None and interval.high is not None:
            axes.plot([at, at], [interval.low, interval.high], color=look.colour, linewidth=1.2)
    axes.plot(xs, means, color=look.colour, linestyle=look.line, linewidth=1.4)
    axes.plot(xs, means, look.marker, color=look.colour, ms=5, mec="white", mew=0.6, label=name)
    return _labels.Name(name, (xs[-1], means[-1]), look.colour)
