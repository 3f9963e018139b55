"""The report's page, its Markdown version and the index, filled from templates."""

from __future__ import annotations

import base64
import re
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ablate.results.formats import escape, units
from ablate.spec.printable import UNSAFE, printable


def fill(template: str, **values: Any) -> str:
    """Fill a template; in `.html`, every value is escaped unless the template marks it as safe."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=shown,
    )
    environment.filters |= {
        "code": code,
        "count": units.count,
        "duration": units.duration,
        "exact": units.exact,
        "md": escape.markdown,
        "percent": lambda value: f"{value:.2f}",
        "shell": shlex.quote,
        "signed": units.signed,
        "sort": sort_key,
        "uri": data_uri,
    }
    return environment.get_template(template).render(**values)


def shown(value: Any) -> Any:
    """Return a value without control characters, which neither HTML nor a terminal should get; markup stays markup."""
    return type(value)(printable(value)) if isinstance(value, str) and UNSAFE.search(value) else value


def code(text: object) -> str:
    """Return text as Markdown code, also if it contains backticks or is in a table."""
    line = escape.one_line(str(text)).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def sort_key(value: float | str | None) -> str:
    """Return the sort key of a cell: a number to nine digits."""
    if isinstance(value, str):
        return ""
    return "" if units.missing(value) else f"{value:.9g}"


def data_uri(csv: str) -> str:
    """Return comma-separated values as a data URI, for a download that needs no other file."""
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(csv.encode()).decode()
