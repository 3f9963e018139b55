"""Which variants lie on one line: those that differ in what the x axis shows, and in nothing that was varied apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import pandas as pd

from ablate.spec import Run

FIELDS = [item.name for item in fields(Run) if item.name not in ("seed", "mixer")]


@dataclass(frozen=True)
class Series:
    """The rows of one line, the mixer it belongs to, and what it is called."""

    name: str
    mixer: str
    rows: pd.DataFrame


def series(data: pd.DataFrame, x: str, ignore: Sequence[str] = ()) -> tuple[list[Series], list[str]]:
    """The lines of at least two different `x`, in the study's order, a mixer's own each.

    A field that takes several values at one `x` and mixer was varied apart from it, and divides the mixer's line. A
    field that changes with `x` does not.

    Args:
        data: rows with `variant`, and `mixer` and fields of `Run` as far as known.
        ignore: fields that `x` stands for.

    Returns:
        The lines, and the fields that change along some of them beside `x`.
    """
    mixer = data["mixer"] if "mixer" in data else pd.Series(None, index=data.index, dtype=object)
    rows = data.assign(mixer=mixer.where(mixer.notna(), data["variant"].astype(str)))
    varied = [f for f in FIELDS if f in rows and f not in (x, *ignore) and rows[f].nunique(dropna=False) > 1]
    key = ["mixer"]
    for field in varied:
        if _several(rows, [*key, x], field):
            key.append(field)
    lines = [part for _, part in rows.groupby(key, sort=False, dropna=False, observed=True) if part[x].nunique() > 1]
    along = [field for field in varied if field not in key and any(part[field].nunique() > 1 for part in lines)]
    return _named(lines, key), along


def _several(rows: pd.DataFrame, where: list[str], field: str) -> bool:
    groups = rows.groupby(where, dropna=False, observed=True)[field]
    return bool((groups.nunique(dropna=False) > 1).any())


def _named(lines: list[pd.DataFrame], key: list[str]) -> list[Series]:
    """Each line by its mixer, and by what tells it from the mixer's other lines."""
    heads = [part.iloc[0] for part in lines]
    found = []
    for head, part in zip(heads, lines, strict=True):
        alike = [other for other in heads if other["mixer"] == head["mixer"]]
        told = [field for field in key[1:] if len({str(other[field]) for other in alike}) > 1]
        name = ", ".join([str(head["mixer"]), *(f"{field}={head[field]}" for field in told)])
        found.append(Series(name, str(head["mixer"]), part))
    return found
