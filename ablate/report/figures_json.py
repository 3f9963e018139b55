"""`figures.json`: the data of every figure of a report, with six significant digits.

One line per figure, each a list of its axes: the labels of x and y; series, fits and intervals as labelled lines;
areas; cells; and texts with the points they name. See `ablate.report.drawing._data`.
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
    """Return the text of the file."""
    lines = [f"{_text(figure.name)}: {_text(_rounded(figure.data))}" for figure in figures]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def names(folder: Path) -> list[str]:
    """Return the names of the figures of the report in a folder; none if the file is missing."""
    try:
        found = orjson.loads((folder / NAME).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return list(found) if isinstance(found, dict) else []


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _rounded(value: Any) -> Any:
    """Return the value with every float rounded to significant digits; integers are unchanged."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value
