"""What all plots share: sizes, the look of axes, and writing files without date or version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ablate.spec.errors import SpecError, unknown
from ablate.store.root import write_atomically

INK, QUIET, RULE = "#1f2328", "#5c646d", "#d5dae0"
TEXT_POINTS, TITLE_POINTS = 8.0, 9.0
LETTER, TEXT_LINE = 4.9, 10.5  # average width of a character and height of a line, in points
WIDTH = 4.8  # inches, of the report's figures
WIDTHS = {"half": 3.3, "full": 6.9}  # inches, on paper
KINDS = ("svg", "png", "pdf")
NOT_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
DPI = 160  # of PNG files
UNSEEN = 6  # largest error of a colour in a PNG file, of 255


class Drawing(Figure):
    """A figure that a plot made itself, and whose height it may change."""


@contextmanager
def style() -> Iterator[None]:
    """Use matplotlib's defaults within the block, independent of a user's matplotlibrc, with reproducible SVG."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "ablate", "svg.fonttype": "path", "pdf.fonttype": 42})
        mpl.rcParams.update({"font.size": TEXT_POINTS})
        yield


def inches(width: str | float) -> float:
    """Return a figure's width in inches, from "half", "full" or a number.

    Raises:
        SpecError: if it is none of these, or too narrow or too wide.
    """
    try:
        found = WIDTHS[width] if isinstance(width, str) and width in WIDTHS else float(width)
    except ValueError:
        found = float("nan")
    if not 2.5 <= found <= 40:
        raise SpecError(f"width must be half, full, or a number of inches from 2.5 to 40, got {width!r}")
    return found


def check_kind(kind: str) -> str:
    """Return a file format if figures can be written in it; raise a `SpecError` otherwise."""
    if kind not in KINDS:
        raise unknown("format", kind, KINDS)
    return kind


def prepare(ax: Axes | None, title: str, x: str, y: str, width: float) -> Axes:
    """Return axes in the shared look; without `ax`, on a new figure `width` inches wide."""
    if ax is None:
        figure = Drawing(figsize=(width, 1.15 + 0.46 * width), layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
    ax.set_title(title, loc="left", fontsize=TITLE_POINTS, fontweight="bold", color=INK, pad=8)
    ax.set_xlabel(x, fontsize=TEXT_POINTS, color=INK)
    ax.set_ylabel(y, fontsize=TEXT_POINTS, color=INK)
    ax.tick_params(labelsize=TEXT_POINTS, labelcolor=INK, color=RULE)
    ax.grid(color=RULE, linewidth=0.6)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
    return ax


def grow(ax: Axes, points: float) -> None:
    """Increase the height of a plot's own figure; given axes keep their size."""
    figure = ax.get_figure(root=True)
    if isinstance(figure, Drawing) and points > 0:
        figure.set_figheight(figure.get_figheight() + points / 72)


def figure_of(ax: Axes) -> Figure:
    """Return the figure that axes are on."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "a plot draws on a figure"
    return figure


def width_of(ax: Axes) -> float:
    """Return the width of axes in points, as known before layout."""
    figure = figure_of(ax)
    return figure.get_figwidth() * 72 - 60 if isinstance(figure, Drawing) else ax.bbox.width * 72 / figure.dpi


def height_of(ax: Axes) -> float:
    """Return the height of axes in points, as known before layout."""
    figure = figure_of(ax)
    return figure.get_figwidth() * 72 * 0.46 + 30 if isinstance(figure, Drawing) else ax.bbox.height * 72 / figure.dpi


def encode(figure: Figure, kind: str) -> bytes:
    """Return the figure as "svg", "png" or "pdf", without date or version; PNG in 256 colours if they suffice.

    A plot's own figure is laid out once for all formats.
    """
    buffer = BytesIO()
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with style():
        if isinstance(figure, Drawing) and figure.get_layout_engine() is not None:
            figure.draw_without_rendering()
            figure.set_layout_engine(None)
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata[kind])
    if kind == "svg":
        return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", buffer.getvalue().decode()).encode()
    return _small(buffer.getvalue()) if kind == "png" else buffer.getvalue()


def _small(png: bytes) -> bytes:
    """Return a PNG in 256 colours if these are accurate enough; otherwise unchanged."""
    image = Image.open(BytesIO(png)).convert("RGB")
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    if np.abs(np.asarray(few.convert("RGB"), dtype=int) - np.asarray(image)).max() > UNSEEN:
        return png
    smaller = BytesIO()
    few.save(smaller, "PNG", optimize=True, dpi=(DPI, DPI))
    return smaller.getvalue()


def save(figure: Figure, stem: Path, kinds: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write `stem.KIND` for each kind; return the paths."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in kinds]
    for path, kind in zip(paths, kinds, strict=True):
        write_atomically(path, encode(figure, kind))
    return paths
