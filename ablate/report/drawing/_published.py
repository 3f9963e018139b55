"""Published results as hollow marks, next to comparable measured ones."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from ablate.report.drawing import palette
from ablate.results.published import Published, read_published

NOTE = "Hollow: published, trained with other recipes; a crossed mark is disputed."
EPOCHS = 300  # of DeiT's recipe, and of most published results
NEAR = 2.0  # published models are shown up to this many times smaller or larger than the study's


@dataclass(frozen=True)
class Mark:
    """A published result: its name, its coordinates, and its look."""

    text: str
    x: float
    top1: float
    colour: str
    marker: str
    disputed: bool


def comparable(data: pd.DataFrame, x: str) -> list[Mark]:
    """Return published results with the mixers, the image size and about the size of an ImageNet study's models.

    Args:
        x: "params" or "macs"; published throughputs are not comparable.
    """
    column, unit = {"params": ("params_m", 1e6), "macs": ("gmacs", 1e9)}.get(x, ("", 1.0))
    if not column or not {"dataset", "mixer", "image_size"} <= set(data) or set(data["dataset"]) != {"imagenet"}:
        return []
    sizes, mixers = set(data["image_size"]), set(data["mixer"])
    low, high = data[x].min() / NEAR, data[x].max() * NEAR
    found = []
    for row in read_published():
        value = getattr(row, column)
        near = value is not None and low <= value * unit <= high
        if near and row.image_size in sizes and row.mixing in mixers:
            found.append(_mark(row, value * unit))
    return found


def _mark(row: Published, x: float) -> Mark:
    look = palette.of_mixers({row.model: row.mixing})[row.model]
    epochs = "" if row.epochs == EPOCHS else f", {row.epochs} epochs"
    return Mark(f"{row.model}{epochs} ({row.status})", x, row.top1, look.colour, look.marker, row.status == "disputed")


def draw(axes: Axes, mark: Mark, size: float) -> None:
    """Draw a hollow mark, with a cross over it if the result is disputed."""
    axes.plot(mark.x, mark.top1, mark.marker, color=mark.colour, fillstyle="none", ms=size, mew=1.0, label=mark.text)
    if mark.disputed:
        axes.plot(mark.x, mark.top1, "x", color=mark.colour, markersize=size * 0.9, mew=0.8, label="_disputed")
