"""A drawn figure as data: its series, fits, intervals, cells and texts, read from matplotlib's artists.

Choices of layout are left out: limits, numeric ticks, and the places of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

Data = dict[str, Any]
WORDS = (FixedFormatter, FuncFormatter, StrCategoryFormatter)  # the formatters of ticks at categories
UNNAMED = "_child"  # matplotlib's label of an artist without one


def of(figure: Figure) -> list[Data]:
    """Return the data of every axes of a figure, including colour bars; NaN is None."""
    return [_axes(axes) for axes in figure.axes]


def _axes(axes: Axes) -> Data:
    words: Data = {
        "title": axes.get_title(loc="left") or axes.get_title(),
        "x": _axis(axes.xaxis),
        "y": _axis(axes.yaxis),
    }
    if axes.get_label() == "<colorbar>":  # its colours are those of the cells
        return _filled(words)
    legend = axes.get_legend()
    drawn = {
        "lines": [_line(line) for line in axes.get_lines()],
        "areas": [_collection(one) for one in axes.collections],
        "bars": [_patch(patch) for patch in axes.patches],
        "images": [_plain(image.get_array()) for image in axes.images],
        "texts": [_text(axes, text) for text in axes.texts],
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
    }
    return _filled(words | drawn)


def _axis(axis: Axis) -> Data:
    named = isinstance(axis.get_major_formatter(), WORDS)
    ticks = [label.get_text() for label in axis.get_ticklabels()] if named else []
    return _filled({"label": axis.get_label_text(), "scale": axis.get_scale(), "ticks": ticks})


def _line(line: Line2D) -> Data:
    return _filled({"label": _label(line), "x": _plain(line.get_xdata()), "y": _plain(line.get_ydata())})


def _collection(found: Collection) -> Data:
    """Return the cells of a mesh, the points of a scatter, or the outlines of areas and segments."""
    values, places = found.get_array(), np.asarray(found.get_offsets())
    data: Data = {"label": _label(found), "values": [] if values is None else _plain(values)}
    if places.any():
        data["points"] = _plain(places)
    elif values is None:
        data["outlines"] = [_plain(path.vertices) for path in found.get_paths()]
    return _filled(data)


def _patch(patch: Patch) -> Data:
    outline = patch.get_path().transformed(patch.get_patch_transform())
    return _filled({"label": _label(patch), "outline": _plain(outline.vertices)})


def _text(axes: Axes, text: Text) -> Data:
    """Return a text with the data point that it belongs to, if any."""
    if isinstance(text, Annotation):
        at = text.xy if text.xycoords == "data" else ()
    else:
        at = text.get_position() if text.get_transform() is axes.transData else ()
    return _filled({"text": text.get_text(), "at": _plain(at)})


def _label(artist: Line2D | Collection | Patch) -> str:
    label = str(artist.get_label())
    return "" if label.startswith(UNNAMED) else label.removeprefix("_")


def _plain(values: Any) -> Any:
    """Return numbers as lists; masked, NaN and infinite values are None."""
    array = np.ma.filled(np.ma.asarray(values).astype(float), np.nan) if np.ma.isMA(values) else np.asarray(values)
    return _finite(np.atleast_1d(array).tolist())


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _filled(data: Mapping[str, Any]) -> Data:
    """Return the entries that are not empty."""
    return {name: value for name, value in data.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return isinstance(value, Iterable) and not value
