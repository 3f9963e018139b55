"""The comparison table in each format: Markdown, LaTeX, HTML and plain text for people, CSV and JSON for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape as html_escape
from io import StringIO

import orjson
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablate.formats import escape, units
from ablate.formats.columns import COLUMNS, NOTE, Column, Row, cells, full, rows
from ablate.registry import unknown

__all__ = [
    "FORMATS",
    "NOTE",
    "as_csv",
    "as_html",
    "as_json",
    "as_latex",
    "as_markdown",
    "as_text",
    "render",
    "terminal",
]


def as_markdown(summary: pd.DataFrame) -> str:
    """A Markdown table, padded so that its source reads as a table too."""
    lines = [[escape.markdown(text) for text in line] for line in ([c.title for c in COLUMNS], *cells(summary))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (w - 1) + ":" if c.numeric else "-" * w for c, w in zip(COLUMNS, widths, strict=True)]
    padded = [
        [text.rjust(w) if c.numeric else text.ljust(w) for text, c, w in zip(line, COLUMNS, widths, strict=True)]
        for line in lines
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in (padded[0], rule, *padded[1:]))


def as_latex(summary: pd.DataFrame) -> str:
    """A booktabs tabular, to be put into a table environment of one's own."""
    head, *body = [
        " & ".join(map(escape.latex, line)) + r" \\" for line in ([c.title for c in COLUMNS], *cells(summary))
    ]
    alignment = "".join("r" if column.numeric else "l" for column in COLUMNS)
    lines = [
        r"% \usepackage{booktabs}",
        f"% {NOTE}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def as_csv(summary: pd.DataFrame) -> str:
    """Comma-separated values in full precision; a missing number is an empty field."""
    return str(full(summary).to_csv(index=False, lineterminator="\n"))


def as_json(summary: pd.DataFrame) -> str:
    """A list of objects in full precision; a missing number is null."""
    table = full(summary).astype(object)
    content = table.where(table.notna(), None).to_dict("records")
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"


def as_html(summary: pd.DataFrame, links: Mapping[str, str] | None = None) -> str:
    """An HTML table element.

    Args:
        links: where a variant's name leads, such as "#runs-attention".
    """
    head = "".join(_html_cell("th", column, column.title, ' scope="col"') for column in COLUMNS)
    body = "".join(_html_row(row, (links or {}).get(row["variant"])) for row in rows(summary))
    return f'<table class="comparison">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n'


def _html_row(row: Row, link: str | None) -> str:
    name = html_escape(str(row["variant"]))
    name = f'<a href="{html_escape(link)}">{name}</a>' if link else f"<span>{name}</span>"
    values = [_html_cell("td", c, c.text(row), _sort_value(row[c.sources[0]])) for c in COLUMNS[1:]]
    return f'<tr><th scope="row">{name}</th>{"".join(values)}</tr>\n'


def _html_cell(tag: str, column: Column, text: str, attributes: str) -> str:
    number = ' class="number"' if column.numeric else ""
    return f"<{tag}{number}{attributes}>{html_escape(text)}</{tag}>"


def _sort_value(value: float | None) -> str:
    return "" if units.missing(value) else f' data-value="{value!r}"'


def terminal(summary: pd.DataFrame) -> Table:
    """A rich table, for a console."""
    table = Table(box=box.SIMPLE_HEAD, caption=NOTE, caption_justify="left")
    for column in COLUMNS:
        table.add_column(Text(column.title), justify="right" if column.numeric else "left")
    for line in cells(summary):
        table.add_row(*map(Text, line))
    return table


def as_text(summary: pd.DataFrame) -> str:
    """The terminal's table as plain text, without colours."""
    console = Console(file=StringIO(), width=140, color_system=None)
    console.print(terminal(summary))
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "csv": as_csv,
    "html": as_html,
    "json": as_json,
    "md": as_markdown,
    "tex": as_latex,
    "text": as_text,
}


def render(summary: pd.DataFrame, name: str) -> str:
    """The table in the format of that name.

    Args:
        summary: from `ablate.table.summarise`.

    Raises:
        SpecError: for a name that is not in `FORMATS`.
    """
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name](summary)
