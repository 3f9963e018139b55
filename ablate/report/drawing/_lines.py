"""A measured column against a field of `Run`: a line per mixer, with 95 % t intervals over seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _intervals, _labels, _line_ends, _scales, frames, notes, palette, style
from ablate.report.drawing._series import series
from ablate.results.stats import Interval, t_interval


def draw(
    data: pd.DataFrame,
    ax: Axes | None,
    width: float,
    title: str,
    x: tuple[str, str],
    y: tuple[str, str],
    note: str = "",
) -> Axes:
    """Draw one column against another.

    Args:
        x: a field of `Run`, and the title of its axis.
        y: a measured column, and the title of its axis. If the frame has an interval around it, that is drawn.
        note: written below the axes.
    """
    axes = style.prepare(ax, title, x[1], y[1], width)
    data = frames.ordered(data)
    if not frames.has(data, x[0], y[0]):
        notes.say_nothing(axes)
        return axes
    measured = data.dropna(subset=[x[0], y[0]])
    lines, along = series(measured, x[0])
    if not lines:
        notes.say_nothing(axes, f"no two measured variants differ in {x[1].lower()} alone")
        return axes
    looks = palette.of_mixers({line.name: line.mixer for line in lines})
    points = {line.name: _points(line.rows, x[0], y[0]) for line in lines}
    ends = [_line(axes, found, looks[name], name) for name, found in points.items()]
    limits = _intervals.PERCENT if y[0].startswith("top1") else None
    beyond = [
        _intervals.draw(axes, "y", at, one.low, one.high, looks[name].colour, limits)
        for name, found in points.items()
        for at, one in found
        if one.low is not None and one.high is not None
    ]
    _scales.at_values(axes, [value for line in lines for value in line.rows[x[0]]])
    if limits:
        _scales.percent(axes, "y")
    else:
        _scales.fit(axes, "y", measured[y[0]])
    if note:
        notes.below(axes, note)
    _intervals.note_beyond(axes, beyond)
    if along:
        notes.below(axes, "Also changes along a line: " + ", ".join(along))
    _line_ends.write(axes, ends)
    return axes


def _points(rows: pd.DataFrame, x: str, y: str) -> list[tuple[float, Interval]]:
    """Return the mean at every x with its interval: over seeds, or the measured one of the frame."""
    groups = [(float(str(at)), each) for at, each in rows.groupby(x)]
    if f"{y}_low" not in rows:
        return [(at, t_interval(list(each[y]))) for at, each in groups]
    firsts = [(at, each.iloc[0]) for at, each in groups]
    return [(at, Interval(one[y], 1, one[f"{y}_low"], one[f"{y}_high"])) for at, one in firsts]


def _line(axes: Axes, points: list[tuple[float, Interval]], look: palette.Look, name: str) -> _labels.Name:
    """Draw one line through the means; return the name to write at its end."""
    xs, means = [at for at, _ in points], [interval.mean for _, interval in points]
    axes.plot(xs, means, color=look.colour, linestyle=look.line, linewidth=1.4, label=f"_line of {name}")
    axes.plot(xs, means, look.marker, color=look.colour, ms=5, mec="white", mew=0.6, label=name)
    return _labels.Name(name, (xs[-1], means[-1]), look.colour)
