"""The look that all plots share: colours, sizes, axes, and how a figure becomes the same bytes every time."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ablate.paths import write_atomically

# seaborn's colours for the colour-blind, without those too light on paper.
PALETTE = tuple(seaborn.color_palette("colorblind").as_hex()[at] for at in (0, 3, 2, 4, 1, 9, 5, 7))
MARKERS = ("o", "s", "^", "D", "v")
LINES = ("-", "--", ":", "-.")
INK, QUIET, RULE = "#1f2328", "#5c646d", "#d5dae0"
TEXT_POINTS, TITLE_POINTS = 10.0, 11.0
WIDTH, HEIGHT = 4.8, 3.4  # inches: half a page wide, the text is still 7 points


@dataclass(frozen=True)
class Look:
    """How one variant is drawn, in every plot of a study."""

    colour: str
    marker: str
    line: str


def variants(data: pd.DataFrame) -> list[str]:
    """All variants of a frame in the study's order, those without a run too."""
    names = data["variant"]
    known = names.cat.categories if isinstance(names.dtype, pd.CategoricalDtype) else names.unique()
    return [str(name) for name in known]


def looks(data: pd.DataFrame) -> dict[str, Look]:
    """The look of every variant, by its place in the study: the control is always the first colour."""
    return {
        name: Look(PALETTE[at % len(PALETTE)], MARKERS[at % len(MARKERS)], LINES[at // len(PALETTE) % len(LINES)])
        for at, name in enumerate(variants(data))
    }


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults for the block, whatever a user's matplotlibrc says, with reproducible SVG."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "ablate", "svg.fonttype": "path", "font.size": TEXT_POINTS})
        yield


def prepare(ax: Axes | None, title: str, x: str, y: str, extra: float = 0.0) -> Axes:
    """Axes in the shared look, on a figure of their own where none are given.

    Args:
        extra: inches by which a figure of its own is higher than usual, for many names.
    """
    if ax is None:
        figure = Figure(figsize=(WIDTH, HEIGHT + extra), layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
    ax.set_title(title, loc="left", fontsize=TITLE_POINTS, fontweight="bold", color=INK, pad=10)
    ax.set_xlabel(x, fontsize=TEXT_POINTS, color=INK)
    ax.set_ylabel(y, fontsize=TEXT_POINTS, color=INK)
    ax.tick_params(labelsize=TEXT_POINTS, labelcolor=INK, color=RULE)
    ax.grid(color=RULE, linewidth=0.6)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
    return ax


def say_missing(ax: Axes, data: pd.DataFrame, measured: list[str]) -> None:
    """Name the variants that have nothing to draw below the axes; where none has, say so across them."""
    if not measured:
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", va="center", color=QUIET)
        ax.set(xticks=[], yticks=[])
    elif absent := [name for name in variants(data) if name not in measured]:
        note = textwrap.fill("not measured: " + "; ".join(absent), 60)
        ax.set_xlabel(f"{ax.get_xlabel()}\n{note}", parse_math=False)


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as "svg" or "png": the same bytes for the same figure, without date or version."""
    buffer = BytesIO()
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    with style():
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `stem.svg` and `stem.png`; returns both paths."""
    paths = stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")
    for path in paths:
        write_atomically(path, encode(figure, path.suffix[1:]))
    return paths
