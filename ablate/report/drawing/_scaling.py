"""A cost against a size, both logarithmic: a line per mixer, with the exponent fitted to it and its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _labels, _line_ends, _scales, frames, notes, palette, style
from ablate.report.drawing._series import Series, series
from ablate.results.formats.units import MINUS
from ablate.results.scaling import Slope, slope

MODE = ["device", "mode"]


def _exponent(found: Slope) -> str:
    """Return an exponent with its interval: 1.08 [1.02, 1.14]."""
    interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{round(found.exponent, 2) + 0.0:.2f}{interval}".replace("-", MINUS)


def draw(
    data: pd.DataFrame,
    ax: Axes | None,
    width: float,
    title: str,
    x: tuple[str, str],
    y: str,
    derived_from: Sequence[str] = (),
) -> Axes:
    """Draw one mode of a frame of speeds: the one with the most rows, the first of several.

    Args:
        x: a column, and the title of its axis.
        y: "time", in milliseconds per image, or "memory", in MiB.
        derived_from: the fields that determine `x`.
    """
    per = "step" if x[0] == "batch" else "image"
    axes = style.prepare(ax, title, x[1], f"Time per {per} (ms)" if y == "time" else "Peak memory (MiB)", width)
    data = frames.ordered(data)
    data = _costs(data if x[0] == "batch" else frames.at_reference_batch(data), y, per)
    if not frames.has(data, "device", "mode", "batch", x[0], "cost"):
        notes.say_nothing(axes)
        return axes
    measured, mode = _one_mode(data.dropna(subset=[x[0], "cost"]), x[0])
    lines, along = series(measured, x[0], derived_from)
    if not lines:
        notes.say_nothing(axes, f"no two measured variants differ in {x[1].lower()} alone")
        return axes
    looks = palette.of_mixers({line.name: line.mixer for line in lines})
    of_macs = y == "time" and x[0] != "batch" and bool((measured.get("macs", pd.Series(0.0)) > 0).all())
    ends = [_line(axes, line, x[0], looks[line.name], of_macs) for line in lines]
    rows = pd.concat([line.rows for line in lines])
    _scales.fit(axes, "y", rows["cost"], log=True)
    axes.set_xscale("log")
    _scales.at_values(axes, rows[x[0]])
    notes.below(
        axes,
        "Next to a name: the exponent with its 95 % interval" + (", and the exponent of its MACs" if of_macs else ""),
    )
    notes.below(axes, mode + (f"; also changes along a line: {', '.join(along)}" if along else ""))
    _line_ends.write(axes, ends)
    return axes


def _costs(data: pd.DataFrame, y: str, per: str) -> pd.DataFrame:
    """Return the frame with `cost`, and `low` and `high` around it if the frame has them."""
    if y == "memory":
        return data.assign(cost=data["memory_mib"], low=np.nan, high=np.nan) if "memory_mib" in data else data.iloc[:0]
    if "images_per_s" not in data:
        return data.iloc[:0]
    nothing, images = pd.Series(np.nan, index=data.index), data["batch"] if per == "step" else 1
    high, low = (1000 * images / data.get(f"images_per_s_{end}", nothing) for end in ("low", "high"))
    return data.assign(cost=1000 * images / data["images_per_s"], low=low, high=high)


def _one_mode(measured: pd.DataFrame, x: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of the mode with the most rows, and its name; if x is the batch size, a mode has all of them."""
    columns = MODE if x == "batch" else [*MODE, "batch"]
    groups = [(key, rows) for key, rows in measured.groupby(columns, sort=False, observed=True)]
    key, rows = max(groups, key=lambda group: len(group[1]))
    device, mode, *batch = [str(part) for part in key]
    others = f"; one of {len(groups)} measured modes" if len(groups) > 1 else ""
    return rows, f"{device}, {mode}" + "".join(f", batch {number}" for number in batch) + others


def _line(axes: Axes, line: Series, x: str, look: palette.Look, of_macs: bool) -> _labels.Name:
    """Draw the measured points with their intervals and the fitted line; return the name to write at its end."""
    rows = line.rows.sort_values(x)
    for at, low, high in rows[[x, "low", "high"]].dropna().itertuples(index=False):
        axes.plot([at, at], [low, high], color=look.colour, linewidth=1.2, label=f"_interval of {line.name}")
    axes.plot(rows[x], rows["cost"], look.marker, color=look.colour, ms=5, mec="white", mew=0.6, label=line.name)
    fitted = np.exp(np.polyval(np.polyfit(np.log(rows[x]), np.log(rows["cost"]), 1), np.log(rows[x])))
    axes.plot(rows[x], fitted, color=look.colour, linestyle=look.line, linewidth=1.2, label=f"_fit of {line.name}")
    text = [line.name, _exponent(slope(list(rows[x]), list(rows["cost"])))]
    if of_macs:
        text.append("MACs " + _exponent(Slope(slope(list(rows[x]), list(rows["macs"])).exponent, len(rows))))
    return _labels.Name("\n".join(text), (float(rows[x].iloc[-1]), float(fitted[-1])), look.colour)
