"""Notes across axes that have nothing to show, and below axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from ablate.report.drawing.style import LETTER, QUIET, TEXT_LINE, TEXT_POINTS, grow, width_of


def say_nothing(ax: Axes, why: str = "not measured") -> None:
    """Write across the axes why there is nothing to show."""
    letters = max(12, int(width_of(ax) / LETTER))
    ax.text(0.5, 0.5, textwrap.fill(why, letters), transform=ax.transAxes, ha="center", va="center", color=QUIET)
    ax.set(xticks=[], yticks=[])


def say_missing(ax: Axes, known: Sequence[str], drawn: Sequence[str], taken: float = 0.0) -> None:
    """Name below the axes the variants that have nothing to draw."""
    if absent := [name for name in known if name not in drawn]:
        below(ax, "not measured: " + "; ".join(absent), taken)


def below(ax: Axes, text: str, taken: float = 0.0) -> None:
    """Write a note below the axes and earlier notes, over the full width of the axes.

    Args:
        taken: the width of names left of the axes, in points.
    """
    lines = textwrap.wrap(text, max(12, int((width_of(ax) - taken) / LETTER)))
    note(ax, "\n".join(lines), 0.0)
    grow(ax, TEXT_LINE * len(lines) + 4)


def note(ax: Axes, text: str, right: float) -> None:
    """Write text below the axes, a number of points from their left edge, below earlier notes there."""
    above = [old for old in ax.texts if old.get_gid() == f"note-{right:.0f}"]
    written = ax.annotate(
        text,
        xy=(0, 0),
        xycoords=("axes fraction", above[-1] if above else ax.xaxis.label),
        xytext=(right, -4),
        textcoords="offset points",
        ha="left",
        va="top",
        fontsize=TEXT_POINTS,
        color=QUIET,
        annotation_clip=False,
        parse_math=False,
    )
    written.set_gid(f"note-{right:.0f}")
