"""`figures.json`: what every figure of a report shows, its numbers to six digits.

A line a figure, each a list of its axes: what x and y are, the series, fits and intervals as lines labelled with what
they are of, areas, cells, and texts with the points they name. See `ablate.report.drawing._data`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from ablate.report.figures import Figure

NAME = "figures.json"
DIGITS = 6


def as_json(figures: Sequence[Figure]) -> str:
    """The file's text."""
    lines = [f"{_text(figure.name)}: {_text(_rounded(figure.data))}" for figure in figures]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def names(folder: Path) -> list[str]:
    """The figures of the report in a folder; none where it has no such file."""
    try:
        found = orjson.loads((folder / NAME).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return list(found) if isinstance(found, dict) else []


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _rounded(value: Any) -> Any:
    """Every float to so many digits; counts stay whole."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value
