"""Frames as CSV whose texts no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ablate.spec.printable import printable

if TYPE_CHECKING:
    import pandas as pd

# What OWASP lists, also after spaces; the full-width forms begin a formula in some languages.
FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]|[\t\r]")
WORDS = ("object", "category", "str", "string")  # types of columns that may have texts
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def as_text(table: pd.DataFrame) -> str:
    """Return comma-separated values in full precision; a missing number is an empty field."""
    words = [name for name, kind in table.dtypes.items() if kind.name in WORDS]
    safe = table.assign(**{str(name): table[name].astype(object).map(_cell) for name in words})
    return str(safe.rename(columns=_cell).to_csv(index=False, lineterminator="\n"))


def _cell(value: Any) -> Any:
    """Return a text as it is shown: with an apostrophe before what would be a formula, which numbers are not."""
    if not isinstance(value, str):
        return value
    mark = "'" if FORMULA.match(value) and not NUMBER.fullmatch(value) else ""
    return mark + printable(value)
