"""A report's files compared with what the records give: one sentence for each difference.

Counts, keys and words must be equal. A number with a decimal point or an exponent is a float, whose last digits depend
on the processor: it must agree to a relative 1e-5, or to 1e-9. A number printed with fewer digits than that must
therefore be equal. PNG and SVG files are not compared; the data that they show is, in `figures.json`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import math
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import orjson

from ablate.report.page_texts import changed

RELATIVE, ABSOLUTE = 1e-5, 1e-9
ABSENT = object()
FLOAT = re.compile(r"(?<![\w.,-])-?\d+(?:(?:,\d{3})*\.\d+(?:e[+-]?\d+)?|e[+-]\d+)(?!\.?\w)")
_SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
_CSV = re.compile(r'(id="csv-(\w+)"[^>]* href="data:text/csv;charset=utf-8;base64,)([^"]*)"')


def file(name: str, written: str, derived: str) -> Iterator[str]:
    """Yield the differences between a written and a derived file, by the kind that its name ends with."""
    if name.endswith(".csv"):
        yield from table(name, written, derived)
    elif name.endswith(".html"):
        yield from page(written, derived)
    else:
        yield from lines(name, written, derived)


def same(one: str, other: str) -> bool:
    """Return whether two texts are equal: floats within the tolerance, everything else exactly."""
    if one == other:
        return True
    numbers = FLOAT.findall(one), FLOAT.findall(other)
    return FLOAT.split(one) == FLOAT.split(other) and all(
        _close(*(float(number.replace(",", "")) for number in pair)) for pair in zip(*numbers, strict=True)
    )


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def lines(name: str, written: str, derived: str) -> Iterator[str]:
    """Yield a difference in the number of lines, and the first line that differs."""
    mine, its = written.splitlines(), derived.splitlines()
    if len(mine) != len(its):
        yield f"{name} has {len(mine)} lines, the records give {len(its)}"
    for number, (one, other) in enumerate(zip(mine, its, strict=False), 1):
        if not same(one, other):
            yield f"{name}, line {number}, is {one!r}; the records give {other!r}"
            return


def table(name: str, written: str, derived: str) -> Iterator[str]:
    """Yield every cell of a CSV file that differs."""
    (head, *mine), (derived_head, *its) = (list(csv.reader(text.splitlines())) or [[]] for text in (written, derived))
    if head != derived_head or [len(row) for row in mine] != [len(row) for row in its]:
        yield f"{name} has other rows or columns than the records give"
        return
    for row, other_row in zip(mine, its, strict=True):
        for column, one, other in zip(head, row, other_row, strict=True):
            if not same(one, other):
                yield f"{name}, {other_row[0]}, {column} is {one or 'empty'}; the records give {other or 'nothing'}"


def page(written: str, derived: str) -> Iterator[str]:
    """Yield differences in the texts and in the CSV downloads; if there are none, in the markup without figures."""
    found = [*changed(written, derived, same)]
    mine, its = ({name: _decoded(data) for _, name, data in _CSV.findall(page)} for page in (written, derived))
    for name, text in its.items():
        found += table(f"{name}.csv inside the page", mine.get(name, ""), text)
    yield from found or lines("the page's markup", _bare(written), _bare(derived))


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except binascii.Error:
        return ""


def _bare(page: str) -> str:
    """Return a page without figures, downloads and empty lines, with one tag per line."""
    text = _CSV.sub(r'\1"', _SVG.sub("", page)).replace("<", "\n<")
    return "\n".join(line for line in text.splitlines() if line.strip())


def figures(name: str, written: str, derived: Mapping[str, Any]) -> Iterator[str]:
    """Yield the first difference of every figure."""
    try:
        mine = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        yield f"{name} cannot be read: {error}"
        return
    if not isinstance(mine, dict):
        yield f"{name} must hold figures by name, got {type(mine).__name__}"
        return
    for figure in sorted({*mine, *derived}):
        if figure not in mine:
            yield f"{name} lacks {figure}, which the records give"
        elif figure not in derived:
            yield f"{name} has {figure}, for which the records give nothing"
        elif difference := _difference(f"{name}, {figure}", mine[figure], derived[figure]):
            yield difference


def _difference(where: str, one: Any, other: Any) -> str | None:
    """Return the first difference of two values; None if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"{where}, {key}", one.get(key, ABSENT), other.get(key, ABSENT)) for key in {**other, **one}]
    elif isinstance(one, list) and isinstance(other, list):
        both = zip_longest(one, other, fillvalue=ABSENT)
        pairs = [(f"{where}{_place(at, b)}", a, b) for at, (a, b) in enumerate(both, 1)]
    else:
        return None if _same_value(one, other) else f"{where} is {_short(one)}; the records give {_short(other)}"
    return next(filter(None, (_difference(*pair) for pair in pairs)), None)


def _place(at: int, value: Any) -> str:
    """Return a position in a list, with the label of the value there."""
    label = value.get("label") if isinstance(value, dict) else None
    return f" {at}" + (f" ({label})" if isinstance(label, str) else "")


def _same_value(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if numbers and isinstance(one, float) | isinstance(other, float):
        return _close(one, other)
    return same(one, other) if isinstance(one, str) and isinstance(other, str) else one == other


def _short(value: Any, most: int = 80) -> str:
    """Return a value in few characters."""
    if value is ABSENT:
        return "nothing"
    text = f"{value:.9g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= most else f"{text[:most]}…"
