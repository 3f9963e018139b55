"""Names written beside what they name and never over each other: where each goes, found without chance."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from ablate.report.drawing import _key, notes
from ablate.report.drawing.style import INK, LETTER, TEXT_LINE, TEXT_POINTS, grow, height_of, width_of

Array = NDArray[np.float64]
Segment = tuple[tuple[float, float], tuple[float, float]]

# All lengths are in points. A place's cost is its distance from the marker, plus what it would cover.
STEP, GAP, FAR, MARKER = 3.0, 7.0, 9.5, 4.5
REACH, LEAST, MANY = 90.0, 18.0, 20  # how far from its point a name may stand: less where names are many
OVER_NAME, OVER_MARKER, OVER_LINE, NEAR_OTHER, NOT_RIGHT = 1e4, 200.0, 25.0, 15.0, 4.0
BESIDE_WIDTH, END_WIDTH, END = 28, 20, 1.05  # letters in a line of a name, at least; where names right of axes begin
MOST = 40  # names written at all; a figure with more of them would be read by nobody
FULL = 0.33  # share of the axes that names may cover before numbers stand for them
HALO = [withStroke(linewidth=2.5, foreground="white")]
_PLACED = ContextVar("placed", default=True)


@contextmanager
def unplaced() -> Iterator[None]:
    """Write names where their points are, for the block: what a figure shows is the same, and it is drawn sooner."""
    token = _PLACED.set(False)
    try:
        yield
    finally:
        _PLACED.reset(token)


@dataclass(frozen=True)
class Name:
    """A variant's name, the point it belongs to in data coordinates, and the colour of the line that leads there."""

    text: str
    point: tuple[float, float]
    colour: str


def beside(ax: Axes, names: Sequence[Name], bars: Sequence[Segment] = ()) -> None:
    """Write each name near its point: inside the axes, clear of the other names and markers, if possible of bars.

    Where the names would fill the axes, numbers stand for them, with a key below; of very many, only some are written.
    Call it last: places hold for the axes' limits and size at that time.

    Args:
        bars: ends of upright and level lines to keep clear of, in data coordinates.
    """
    if not names:
        return
    points, names = [name.point for name in names], _chosen(ax, names)
    if sum(_area(name.text) for name in names) > FULL * width_of(ax) * height_of(ax):
        names = _numbered(ax, names)
    names = [replace(name, text=textwrap.fill(name.text, BESIDE_WIDTH)) for name in names]
    if not _PLACED.get():
        for name in names:
            _write(ax, name, np.zeros(2), np.zeros(2), far=False)
        return
    _root(ax).draw_without_rendering()
    inch = 72 / _root(ax).dpi
    frame = Bbox(ax.get_window_extent().get_points() * inch)
    spots = [ax.transData.transform(name.point) * inch for name in names]
    markers = [ax.transData.transform(point) * inch for point in points]
    boxes = [_box(ax.transData.transform(bar) * inch) for bar in bars]
    leads, reach = np.empty((0, 2)), max(LEAST, REACH * min(1.0, MANY / len(names)))
    placed: list[Bbox] = []
    for name, spot in zip(names, spots, strict=True):
        size = _size(ax, name.text) * inch
        corner = _cheapest(spot, size, frame, reach, Obstacles(placed, markers, boxes, leads).near(spot, size + reach))
        placed.append(Bbox.from_bounds(*corner, *size))
        nearest = np.clip(spot, corner, corner + size)
        far = float(np.hypot(*(nearest - spot))) > FAR
        leads = np.vstack([leads, np.linspace(spot, nearest, 12)]) if far else leads
        _write(ax, name, corner - spot, (nearest - corner) / size, far=far)


@dataclass(frozen=True)
class Obstacles:
    """What a name should not cover: names, markers, bars, and the lines that lead to names (as points)."""

    names: Sequence[Bbox]
    markers: Sequence[Array]
    bars: Sequence[Bbox]
    leads: Array

    def near(self, spot: Array, room: Array) -> Obstacles:
        """Those that lie within `room` of a spot, level and upright."""
        low, high = spot - room, spot + room
        around = Bbox([low, high])
        return Obstacles(
            [box for box in self.names if box.overlaps(around)],
            [marker for marker in self.markers if np.all((marker > low) & (marker < high))],
            [box for box in self.bars if box.overlaps(around)],
            self.leads[np.all((self.leads > low) & (self.leads < high), axis=1)],
        )


def _root(ax: Axes) -> Any:
    return ax.get_figure(root=True)


def _box(ends: Array) -> Bbox:
    """The box around an upright or level line."""
    return Bbox([ends.min(axis=0) - 1, ends.max(axis=0) + 1])


def _size(ax: Axes, text: str) -> Array:
    """Width and height of a text, in pixels."""
    probe = ax.text(0, 0, text, fontsize=TEXT_POINTS, transform=ax.transAxes, parse_math=False)
    size = probe.get_window_extent().size
    probe.remove()
    return np.asarray(size)


def _cheapest(spot: Array, size: Array, frame: Bbox, reach: float, obstacles: Obstacles) -> Array:
    """The lower left corner of the best place for a name of that size."""
    corners = _grid(spot, size, frame, reach)
    nearest = np.clip(spot, corners, corners + size)
    distance = np.hypot(*(nearest - spot).T)
    uneven = np.abs(corners[:, 1] + size[1] / 2 - spot[1])
    cost = np.abs(distance - GAP) + NOT_RIGHT * (corners[:, 0] < spot[0]) + 0.1 * uneven
    for box in obstacles.names:
        cost += OVER_NAME * _overlaps(corners, size, box, 2)
        cost += OVER_LINE * (distance > FAR) * _crosses(spot, nearest, box)
    for box in obstacles.bars:
        cost += OVER_LINE * _overlaps(corners, size, box, 1)
    markers = np.asarray(obstacles.markers)
    away = np.hypot(*(np.clip(markers, corners[:, None], corners[:, None] + size) - markers).T)
    cost += (OVER_MARKER * (away < MARKER) + NEAR_OTHER * (away < distance)).sum(axis=0)
    cost += OVER_LINE * _covers(corners, size, obstacles.leads, 1.5)
    return np.asarray(corners[np.argmin(cost)])


def _grid(spot: Array, size: Array, frame: Bbox, reach: float) -> Array:
    """The corners to try, all inside the frame and not too far, among them those level with the spot."""
    low = np.asarray(frame.min) + 2
    high = np.maximum(np.asarray(frame.max) - size - 2, low)
    low, high = np.clip([spot - size - reach, spot + reach], low, high)
    level = np.clip([spot + GAP, spot - size - GAP, spot - size / 2], low, high)
    x = np.union1d(np.arange(low[0], high[0], STEP), level[:, 0])
    y = np.union1d(np.arange(low[1], high[1], STEP), level[:, 1])
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _overlaps(corners: Array, size: Array, box: Bbox, margin: float) -> NDArray[np.bool_]:
    """For each corner, whether a name there comes nearer to a box than the margin."""
    low, high = np.asarray(box.min) - margin, np.asarray(box.max) + margin
    return np.asarray(np.all((corners < high) & (corners + size > low), axis=1))


def _covers(corners: Array, size: Array, points: Array, margin: float) -> NDArray[np.bool_]:
    """For each corner, whether a name there lies over any of the points."""
    inside = (points > corners[:, None] - margin) & (points < corners[:, None] + size + margin)
    return np.asarray(np.any(np.all(inside, axis=2), axis=1))


def _crosses(spot: Array, nearest: Array, box: Bbox) -> NDArray[np.bool_]:
    """For each line from the spot to a name, whether it passes through a box."""
    steps = np.linspace(0, 1, 12)[:, None, None]
    along = spot + steps * (nearest - spot)
    inside = (along > np.asarray(box.min)) & (along < np.asarray(box.max))
    return np.asarray(np.any(np.all(inside, axis=2), axis=0))


def _write(ax: Axes, name: Name, offset: Array, end: Array, *, far: bool) -> None:
    """Write a name at an offset in points from its point, with a thin line to it where it is far."""
    written = ax.annotate(
        name.text,
        xy=name.point,
        xytext=tuple(offset),
        textcoords="offset points",
        ha="left",
        va="bottom",
        arrowprops=_lead(name, tuple(end)) if far else None,
        **_text(),
    )
    written.set_in_layout(False)


def _text() -> dict[str, Any]:
    return {
        "fontsize": TEXT_POINTS,
        "color": INK,
        "path_effects": HALO,
        "annotation_clip": False,
        "parse_math": False,
        "zorder": 5,
    }


def _lead(name: Name, end: tuple[float, float]) -> dict[str, Any]:
    """A thin line from a place on the name's box to its point."""
    # Without a patch to end at and a gap at the text, which matplotlib would look for by bisection.
    near = {"patchA": None, "shrinkA": 0, "relpos": end}
    return {"arrowstyle": "-", "color": name.colour, "linewidth": 0.8, "shrinkB": 4, **near}


def _area(text: str) -> float:
    """About how much a name covers when written beside its point, in square points."""
    lines = textwrap.wrap(text, BESIDE_WIDTH)
    return max(map(len, lines)) * LETTER * len(lines) * TEXT_LINE


def _numbered(ax: Axes, names: Sequence[Name]) -> list[Name]:
    """Numbers in place of the names, which are written below the axes."""
    _key.write(ax, [name.text for name in names])
    return [replace(name, text=str(number)) for number, name in enumerate(names, 1)]


def _chosen(ax: Axes, names: Sequence[Name]) -> Sequence[Name]:
    """All names, or of too many the first, the highest and the lowest, which a note below says."""
    if len(names) <= MOST:
        return names
    order = sorted(range(1, len(names)), key=lambda at: (names[at].point[1], names[at].text))
    low = MOST // 2
    kept = sorted([0, *order[:low], *order[low - MOST + 1 :]])
    notes.below(ax, f"{MOST} of {len(names)} are named: the first, the highest and the lowest")
    return [names[at] for at in kept]


def at_ends(ax: Axes, names: Sequence[Name]) -> None:
    """Write each name right of the axes, level with its point as far as the others leave room.

    A figure of the plot's own grows with them; where it would have to grow much, numbers stand for the names, and of
    very many only some are written.
    """
    if not names:
        return
    names = _chosen(ax, names)
    lines = sum(len(_wrapped(ax, name.text)) for name in names)
    if lines * TEXT_LINE > 1.4 * height_of(ax):
        names, lines = _numbered(ax, names), len(names)
    grow(ax, lines * (TEXT_LINE + 1) - height_of(ax))
    names = sorted(names, key=lambda name: (name.point[1], name.text))
    written = [_at_end(ax, name) for name in names]
    if not _PLACED.get():
        return
    _root(ax).draw_without_rendering()
    frame = ax.get_window_extent()
    heights = np.array([_size(ax, text.get_text())[1] for text in written]) + 3
    wanted = np.array([ax.transData.transform(name.point)[1] for name in names]) - frame.y0
    for text, y in zip(written, _spread(wanted, heights, frame.height), strict=True):
        text.xyann = (END, y / frame.height)


def _wrapped(ax: Axes, text: str) -> list[str]:
    """The lines of a name right of the axes; a line break in it is kept."""
    letters = max(END_WIDTH, int(0.3 * width_of(ax) / LETTER))
    return [line for part in text.split("\n") for line in textwrap.wrap(part, letters)]


def _at_end(ax: Axes, name: Name) -> Annotation:
    return ax.annotate(
        "\n".join(_wrapped(ax, name.text)),
        xy=name.point,
        xytext=(END, 0.5),
        textcoords="axes fraction",
        ha="left",
        va="center",
        arrowprops=_lead(name, (0, 0.5)),
        **_text(),
    )


def _spread(wanted: Array, heights: Array, room: float) -> Array:
    """The middles nearest to the wanted ones, in order, that leave each its height inside the room."""
    heights = heights * min(1.0, room / heights.sum())
    below = np.cumsum(heights) - heights / 2
    free = np.clip(isotonic_regression(wanted - below).x, 0, room - heights.sum())
    return np.asarray(free + below)
