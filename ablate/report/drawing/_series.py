"""How a study varies its runs, derived from its frame: which variants form a line, over which field; crossed axes.

Variants on one line differ in the field on the x axis, and in no field that was varied independently of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations, takewhile

import pandas as pd

from ablate.spec.run import Run

FIELDS = [item.name for item in fields(Run) if item.name not in ("seed", "mixer")]


@dataclass(frozen=True)
class Series:
    """The rows of one line, its mixer, and its name."""

    name: str
    mixer: str
    rows: pd.DataFrame


def series(data: pd.DataFrame, x: str, ignore: Sequence[str] = ()) -> tuple[list[Series], list[str]]:
    """Return the lines with at least two different `x`, in the study's order, each of one mixer.

    A field with several values at one `x` and mixer was varied independently, and splits the mixer's line. A field that
    changes with `x` does not.

    Args:
        data: rows with `variant`, and `mixer` and fields of `Run` if known.
        ignore: fields that determine `x`.

    Returns:
        The lines, and the fields other than `x` that change along some of them.
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


def axis(data: pd.DataFrame) -> str | None:
    """Return the numeric field that a study varies, so that every variant is on a line over it; None if there is none.

    Of several fields that change together, it is the one with the most values, or the first in the order of `Run`.
    Fields that change together between only two values are two settings, not an axis.
    """
    numbers = [field for field in FIELDS if field in data and _is_number(data[field]) and data[field].nunique() > 1]
    found = []
    for field in numbers:
        lines, along = series(data, field)
        covered = sum(len(line.rows) for line in lines) == len(data)
        if covered and (not along or data[field].nunique() > 2):
            found.append(field)
    return max(found, key=lambda field: data[field].nunique(), default=None)


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _several(rows: pd.DataFrame, where: list[str], field: str) -> bool:
    groups = rows.groupby(where, dropna=False, observed=True)[field]
    return bool((groups.nunique(dropna=False) > 1).any())


def _named(lines: list[pd.DataFrame], key: list[str]) -> list[Series]:
    """Name each line by the common beginning of its variants' labels, if these names are unique.

    Otherwise name it by its mixer, and by the fields that distinguish it from the mixer's other lines.
    """
    shared = [_common([str(name) for name in part["variant"].unique()]) for part in lines]
    if all(shared) and len(set(shared)) == len(shared):
        return [Series(name, str(part["mixer"].iloc[0]), part) for name, part in zip(shared, lines, strict=True)]
    heads = [part.iloc[0] for part in lines]
    found = []
    for head, part in zip(heads, lines, strict=True):
        alike = [other for other in heads if other["mixer"] == head["mixer"]]
        distinct = [field for field in key[1:] if len({str(other[field]) for other in alike}) > 1]
        name = ", ".join([str(head["mixer"]), *(f"{field}={head[field]}" for field in distinct)])
        found.append(Series(name, str(head["mixer"]), part))
    return found


def _common(labels: list[str]) -> str:
    """Return the common beginning of labels."""
    parts = zip(*(label.split(", ") for label in labels), strict=False)
    return ", ".join(part[0] for part in takewhile(lambda part: len(set(part)) == 1, parts))


@dataclass(frozen=True)
class Crossed:
    """Two axes, each with its name if it has one, and the `row` and `column` of every variant, by its label."""

    row: str
    column: str
    places: pd.DataFrame


def crossed(data: pd.DataFrame) -> Crossed | None:
    """Return the two axes that are crossed in a frame; None if there are none.

    They are two fields, the one with more values in the rows. If two fields do not identify the variants, they are the
    first part of the labels and the rest: an axis may set several fields under a label.
    """
    variants = data.drop_duplicates("variant").set_index("variant")
    variants.index = variants.index.astype(str)
    varied = [field for field in ("mixer", *FIELDS) if field in variants and variants[field].nunique() > 1]
    pairs = [pair for pair in combinations(varied, 2) if _are_crossed(variants[[*pair]])]
    if len(pairs) == 1:
        row, column = sorted(pairs[0], key=lambda field: -variants[field].nunique())
        return Crossed(row, column, variants[[row, column]].set_axis(["row", "column"], axis=1))
    parts = [label.partition(", ") for label in variants.index]
    places = pd.DataFrame({"row": [p[0] for p in parts], "column": [p[2] for p in parts]}, variants.index)
    if not (places["column"] != "").all() or not _are_crossed(places):
        return None
    turned = places["column"].nunique() > places["row"].nunique()
    return Crossed("", "", places.set_axis(["column", "row"], axis=1) if turned else places)


def _are_crossed(places: pd.DataFrame) -> bool:
    """Return whether each variant has its own pair, and there are more pairs than one-at-a-time changes give."""
    sizes = places.nunique()
    return bool(sizes.min() > 1 and not places.duplicated().any() and len(places) > sizes.sum() - 1)
