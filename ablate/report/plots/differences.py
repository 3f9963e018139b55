"""Test top-1 minus that of the control, paired by seed: means and 95 % t intervals; n is the number of pairs.

A star marks differences that are significant at 5 % after Holm's correction over the study's variants.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import _scales, frames, notes, palette, style
from ablate.results.stats import LEVEL, holm, paired

TITLE = "Paired differences"
INPUT = "runs"


def draw(data: pd.DataFrame, ax: Axes | None = None, *, width: float = style.WIDTH) -> Axes:
    """Draw a study's frame; return the axes."""
    axes = style.prepare(ax, TITLE, "Test top-1 minus that of the control (pp)", "", width)
    data = frames.ordered(data)
    summary = frames.summary(data, "top1")
    if not frames.has(summary, "difference"):
        notes.say_nothing(axes)
        return axes
    summary = summary.dropna(subset=["difference"])
    looks = palette.looks(data)
    control, *others = palette.variants(data)
    axes.axvline(0, color=style.QUIET, linewidth=0.9)
    pairs, p = _paired(data)
    for at, row in enumerate(summary.to_dict("records")):
        name = str(row["variant"])
        _row(axes, at, row, looks[name], f"n = {pairs[name]}" + " *" * (p[name] < 1 - LEVEL))
    letters = max(16, int(0.4 * style.width_of(axes) / style.LETTER))
    names = [textwrap.fill(str(name), letters) for name in summary["variant"]]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    _scales.fit(axes, "x", [])
    lines = max(1 + name.count("\n") for name in names)
    style.grow(axes, len(names) * (lines * style.TEXT_LINE + 5) - style.height_of(axes))
    taken = style.LETTER * max(len(line) for name in names for line in name.split("\n"))
    fitting = max(20, int((style.width_of(axes) - taken) / style.LETTER))
    axes.set_xlabel(textwrap.fill(f"Test top-1 minus that of {control} (pp)", fitting), parse_math=False)
    if min(p.values()) < 1 - LEVEL:
        notes.below(axes, "* p < 0.05 after Holm's correction", taken)
    notes.say_missing(axes, others, [str(name) for name in summary["variant"]], taken)
    return axes


def _paired(data: pd.DataFrame) -> tuple[dict[str, int], dict[str, float]]:
    """Return how many seeds each variant shares with the control, and its p value after Holm's correction, or 1."""
    table = data.dropna(subset=["top1"]).pivot_table(index="seed", columns="variant", values="top1", observed=False)
    control, *others = palette.variants(data)
    both = {name: table[[name, control]].dropna() for name in others if name in table and control in table}
    found = {k: paired(list(pair[k]), list(pair[control])).p if len(pair) else None for k, pair in both.items()}
    p = dict(zip(found, holm(list(found.values())), strict=True))
    return {name: len(pair) for name, pair in both.items()}, {k: 1.0 if v is None else v for k, v in p.items()}


def _row(axes: Axes, at: int, row: Mapping[Any, Any], look: palette.Look, note: str) -> None:
    """Draw a variant's mean difference and its interval, with a note right of them."""
    if pd.notna(row["difference_low"]):
        ends, label = [row["difference_low"], row["difference_high"]], f"_interval of {row['variant']}"
        axes.plot(ends, [at, at], color=look.colour, linewidth=1.4, label=label)
    axes.plot(row["difference"], at, look.marker, color=look.colour, ms=6, mec="white", mew=0.6, label=row["variant"])
    text: dict[str, Any] = {"va": "center", "fontsize": style.TEXT_POINTS, "color": style.QUIET}
    axes.annotate(note, (1, at), (4, 0), ("axes fraction", "data"), "offset points", annotation_clip=False, **text)
