"""Published results: `published.csv`, each row with its source, its recipe, and how it was checked.

A number that could not be found is empty, never guessed. `status` is "primary" if the source measured it, "secondary"
if the source quotes it, and "disputed" if it is not what a reader would expect; `note` gives the reason.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from ablate.spec.errors import unknown

FILE = Path(__file__).with_suffix(".csv")
STATUS = ("primary", "secondary", "disputed")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published result on ImageNet-1k.

    Args:
        family: the paper or code base it comes from.
        model: its name in that source.
        mixing: how it mixes tokens; the name of a mixer of this package if there is one.
        image_size: pixels it was evaluated at.
        patch: side of a patch in pixels; None for a pyramid.
        params_m: parameters, in millions.
        gmacs: multiply-accumulate operations for one image, in units of 10^9.
        cost_called: what the source calls that number; many count MACs and call them FLOPs.
        top1: percent.
        epochs: of training.
        recipe: how it was trained, in a word or two.
        status: one of `STATUS`.
        note: what a reader needs to know.
        source: where the number was published.
        where: the table or section in the source.
        checked: what it was compared with, and the value found there; empty if nothing was found.
    """

    family: str
    model: str
    mixing: str
    image_size: int
    patch: int | None
    params_m: float | None
    gmacs: float | None
    cost_called: str
    top1: float
    epochs: int
    recipe: str
    status: str
    note: str
    source: str
    where: str
    checked: str

    @property
    def name(self) -> str:
        """Return its family and model; together with the epochs they are unique."""
        return f"{self.family} {self.model}"


_NUMBERS = {"image_size": int, "patch": int, "params_m": float, "gmacs": float, "top1": float, "epochs": int}


@cache
def read_published() -> tuple[Published, ...]:
    """Return every row, in the order of the file."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(Published(**{name: _value(name, text) for name, text in row.items()}) for row in _rows(file))


def _rows(file: Any) -> csv.DictReader[str]:
    reader = csv.DictReader(file)
    assert reader.fieldnames == [item.name for item in fields(Published)], "published.csv has the columns of Published"
    return reader


def _value(name: str, text: str) -> Any:
    if name not in _NUMBERS:
        return text
    return _NUMBERS[name](text) if text else None


def find(name: str) -> Published:
    """Return the first row of a family and model, such as "paper FF-Tiny/16".

    Raises:
        SpecError: if there is none.
    """
    by_name = {row.name: row for row in reversed(read_published())}
    if name not in by_name:
        raise unknown("published result", name, by_name)
    return by_name[name]
