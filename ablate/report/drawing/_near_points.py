"""Names written near their points, clear of each other and of the markers; places are found without randomness."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from ablate.report.drawing._labels import Array, Name, are_placed, chosen, leader, numbered, size, text_style
from ablate.report.drawing.style import LETTER, TEXT_LINE, figure_of, height_of, width_of

Segment = tuple[tuple[float, float], tuple[float, float]]

# All lengths are in points. The cost of a place is its distance from the marker, plus what a name there would cover.
STEP, GAP, FAR, MARKER = 3.0, 7.0, 9.5, 4.5
REACH, LEAST, MANY = 90.0, 18.0, 20  # the largest distance of a name from its point: less if there are many names
OVER_NAME, OVER_MARKER, OVER_LINE, NEAR_OTHER, NOT_RIGHT = 1e4, 200.0, 25.0, 15.0, 4.0
WIDTH = 28  # characters in a line of a name
FULL = 0.33  # share of the axes that names may cover; beyond it, numbers stand for them


def write(ax: Axes, names: Sequence[Name], bars: Sequence[Segment] = ()) -> None:
    """Write each name near its point: inside the axes, clear of other names and markers and, if possible, of bars.

    Where the names would fill the axes, numbers stand for them, with a key below; of very many names, only some are
    written. Call it last: the places are valid for the current limits and size of the axes.

    Args:
        bars: the ends of vertical and horizontal lines to keep clear of, in data coordinates.
    """
    if not names:
        return
    points, names = [name.point for name in names], chosen(ax, names)
    if sum(_area(name.text) for name in names) > FULL * width_of(ax) * height_of(ax):
        names = numbered(ax, names)
    names = [replace(name, text=textwrap.fill(name.text, WIDTH)) for name in names]
    if not are_placed():
        for name in names:
            _write(ax, name, np.zeros(2), np.zeros(2), far=False)
        return
    figure_of(ax).draw_without_rendering()
    inch = 72 / figure_of(ax).dpi
    frame = Bbox(ax.get_window_extent().get_points() * inch)
    spots = [ax.transData.transform(name.point) * inch for name in names]
    markers = [ax.transData.transform(point) * inch for point in points]
    boxes = [_box(ax.transData.transform(bar) * inch) for bar in bars]
    leaders, reach = np.empty((0, 2)), max(LEAST, REACH * min(1.0, MANY / len(names)))
    placed: list[Bbox] = []
    for name, spot in zip(names, spots, strict=True):
        extent = size(ax, name.text) * inch
        obstacles = Obstacles(placed, markers, boxes, leaders).near(spot, extent + reach)
        corner = _cheapest(spot, extent, frame, reach, obstacles)
        placed.append(Bbox.from_bounds(*corner, *extent))
        nearest = np.clip(spot, corner, corner + extent)
        far = float(np.hypot(*(nearest - spot))) > FAR
        leaders = np.vstack([leaders, np.linspace(spot, nearest, 12)]) if far else leaders
        _write(ax, name, corner - spot, (nearest - corner) / extent, far=far)


@dataclass(frozen=True)
class Obstacles:
    """What a name should not cover: names, markers, bars, and the lines to names (as points)."""

    names: Sequence[Bbox]
    markers: Sequence[Array]
    bars: Sequence[Bbox]
    leaders: Array

    def near(self, spot: Array, distance: Array) -> Obstacles:
        """Return those within a horizontal and a vertical distance of a spot."""
        low, high = spot - distance, spot + distance
        around = Bbox([low, high])
        return Obstacles(
            [box for box in self.names if box.overlaps(around)],
            [marker for marker in self.markers if np.all((marker > low) & (marker < high))],
            [box for box in self.bars if box.overlaps(around)],
            self.leaders[np.all((self.leaders > low) & (self.leaders < high), axis=1)],
        )


def _box(ends: Array) -> Bbox:
    """Return the box around a vertical or horizontal line."""
    return Bbox([ends.min(axis=0) - 1, ends.max(axis=0) + 1])


def _cheapest(spot: Array, extent: Array, frame: Bbox, reach: float, obstacles: Obstacles) -> Array:
    """Return the lower left corner of the best place for a name of that size."""
    corners = _grid(spot, extent, frame, reach)
    nearest = np.clip(spot, corners, corners + extent)
    distance = np.hypot(*(nearest - spot).T)
    uneven = np.abs(corners[:, 1] + extent[1] / 2 - spot[1])
    cost = np.abs(distance - GAP) + NOT_RIGHT * (corners[:, 0] < spot[0]) + 0.1 * uneven
    for box in obstacles.names:
        cost += OVER_NAME * _overlaps(corners, extent, box, 2)
        cost += OVER_LINE * (distance > FAR) * _crosses(spot, nearest, box)
    for box in obstacles.bars:
        cost += OVER_LINE * _overlaps(corners, extent, box, 1)
    markers = np.asarray(obstacles.markers)
    away = np.hypot(*(np.clip(markers, corners[:, None], corners[:, None] + extent) - markers).T)
    cost += (OVER_MARKER * (away < MARKER) + NEAR_OTHER * (away < distance)).sum(axis=0)
    cost += OVER_LINE * _covers(corners, extent, obstacles.leaders, 1.5)
    return np.asarray(corners[np.argmin(cost)])


def _grid(spot: Array, extent: Array, frame: Bbox, reach: float) -> Array:
    """Return the corners to try: inside the frame, within reach, and some of them level with the spot."""
    low = np.asarray(frame.min) + 2
    high = np.maximum(np.asarray(frame.max) - extent - 2, low)
    low, high = np.clip([spot - extent - reach, spot + reach], low, high)
    level = np.clip([spot + GAP, spot - extent - GAP, spot - extent / 2], low, high)
    x = np.union1d(np.arange(low[0], high[0], STEP), level[:, 0])
    y = np.union1d(np.arange(low[1], high[1], STEP), level[:, 1])
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _overlaps(corners: Array, extent: Array, box: Bbox, margin: float) -> NDArray[np.bool_]:
    """Return for each corner whether a name there is nearer to a box than the margin."""
    low, high = np.asarray(box.min) - margin, np.asarray(box.max) + margin
    return np.asarray(np.all((corners < high) & (corners + extent > low), axis=1))


def _covers(corners: Array, extent: Array, points: Array, margin: float) -> NDArray[np.bool_]:
    """Return for each corner whether a name there covers any of the points."""
    inside = (points > corners[:, None] - margin) & (points < corners[:, None] + extent + margin)
    return np.asarray(np.any(np.all(inside, axis=2), axis=1))


def _crosses(spot: Array, nearest: Array, box: Bbox) -> NDArray[np.bool_]:
    """Return for each line from the spot to a name whether it passes through a box."""
    steps = np.linspace(0, 1, 12)[:, None, None]
    along = spot + steps * (nearest - spot)
    inside = (along > np.asarray(box.min)) & (along < np.asarray(box.max))
    return np.asarray(np.any(np.all(inside, axis=2), axis=0))


def _write(ax: Axes, name: Name, offset: Array, end: Array, *, far: bool) -> None:
    """Write a name at an offset in points from its point, with a thin line to it if it is far."""
    written = ax.annotate(
        name.text,
        xy=name.point,
        xytext=tuple(offset),
        textcoords="offset points",
        ha="left",
        va="bottom",
        arrowprops=leader(name, tuple(end)) if far else None,
        **text_style(),
    )
    written.set_in_layout(False)


def _area(text: str) -> float:
    """Return the approximate area of a name written near its point, in square points."""
    lines = textwrap.wrap(text, WIDTH)
    return max(map(len, lines)) * LETTER * len(lines) * TEXT_LINE
