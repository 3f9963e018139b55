"""Tables in each format: Markdown, LaTeX, HTML and plain text for people, CSV and JSON for machines.

Every function takes a `Sheet`, or the summary of a study, which it converts to one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape as html_escape
from io import StringIO
from typing import TYPE_CHECKING, Literal

import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablate.results.formats import escape, spreadsheet, units
from ablate.results.formats.columns import NOTE, comparison
from ablate.results.formats.sheet import Column, Row, Sheet
from ablate.spec.errors import unknown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FORMATS",
    "NOTE",
    "Sheet",
    "as_csv",
    "as_html",
    "as_json",
    "as_latex",
    "as_markdown",
    "as_text",
    "comparison",
    "render",
    "terminal",
]

TERMINAL = 140  # characters per line if there is no terminal


def _sheet(table: Sheet | pd.DataFrame) -> Sheet:
    return table if isinstance(table, Sheet) else comparison(table)


def as_markdown(table: Sheet | pd.DataFrame, *, notes: bool = False) -> str:
    """Return a Markdown table, padded so that its source is readable too; with its notes below on request."""
    sheet = _sheet(table)
    columns = sheet.columns
    lines = [[escape.markdown(text) for text in line] for line in ([c.title for c in columns], *sheet.cells())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (w - 1) + ":" if c.numeric else "-" * w for c, w in zip(columns, widths, strict=True)]
    padded = [
        [text.rjust(w) if c.numeric else text.ljust(w) for text, c, w in zip(line, columns, widths, strict=True)]
        for line in lines
    ]
    below = "".join(f"\n{escape.markdown(note)}\n" for note in sheet.notes) if notes else ""
    return "".join(f"| {' | '.join(line)} |\n" for line in (padded[0], rule, *padded[1:])) + below


def as_latex(table: Sheet | pd.DataFrame) -> str:
    """Return a booktabs tabular with its notes below, to be put into a table environment."""
    sheet = _sheet(table)
    head, *body = [
        " & ".join(map(escape.latex, line)) + r" \\" for line in ([c.title for c in sheet.columns], *sheet.cells())
    ]
    ruled = [line for at, text in enumerate(body) for line in ([r"\midrule"] * sheet.starts_group(at) + [text])]
    alignment = "".join("r" if column.numeric else "l" for column in sheet.columns)
    notes = [rf"\par\smallskip{{\footnotesize {escape.latex(note)}\par}}" for note in sheet.notes]
    lines = [
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        head,
        r"\midrule",
        *ruled,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
    ]
    return "\n".join(lines) + "\n"


def as_csv(table: Sheet | pd.DataFrame) -> str:
    """Return comma-separated values in full precision; a missing number is an empty field."""
    return spreadsheet.as_text(_sheet(table).data)


def as_json(table: Sheet | pd.DataFrame) -> str:
    """Return a JSON list of objects in full precision; a missing number is null."""
    data = _sheet(table).data.astype(object)
    content = data.where(data.notna(), None).to_dict("records")
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"


def as_html(table: Sheet | pd.DataFrame, links: Mapping[str, str] | None = None, *, notes: bool = False) -> str:
    """Return an HTML table element, with its notes as paragraphs below on request.

    Args:
        links: the link of each row's name, such as "#runs-attention".
    """
    sheet = _sheet(table)
    head = "".join(_html_cell("th", column, column.title, ' scope="col"') for column in sheet.columns)
    body = "".join(_html_row(sheet, row, links or {}) for row in sheet.rows)
    below = "".join(f'<p class="note">{html_escape(note)}</p>\n' for note in sheet.notes) if notes else ""
    return f'<table class="comparison">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{below}'


def _html_row(sheet: Sheet, row: Row, links: Mapping[str, str]) -> str:
    cells = [_html_value(at == sheet.heading, c, row, links) for at, c in enumerate(sheet.columns)]
    return f"<tr>{''.join(cells)}</tr>\n"


def _html_value(heading: bool, column: Column, row: Row, links: Mapping[str, str]) -> str:
    if not heading:
        return _html_cell("td", column, column.text(row), _sort_value(row[column.sources[0]]))
    text, link = html_escape(column.text(row)), links.get(column.text(row))
    name = f'<a href="{html_escape(link)}">{text}</a>' if link else f"<span>{text}</span>"
    return f'<th scope="row">{name}</th>'


def _html_cell(tag: str, column: Column, text: str, attributes: str) -> str:
    number = ' class="number"' if column.numeric else ""
    return f"<{tag}{number}{attributes}>{html_escape(text)}</{tag}>"


def _sort_value(value: float | str | None) -> str:
    if isinstance(value, str):
        return f' data-value="{html_escape(value)}"'
    return "" if units.missing(value) else f' data-value="{value!r}"'


def terminal(table: Sheet | pd.DataFrame, width: int | None = None) -> Table:
    """Return a rich table, for a console.

    Args:
        width: characters per line; optional columns are left out if they do not fit.
    """
    sheet = _sheet(table) if width is None else _sheet(table).within(width)
    shown = Table(box=box.SIMPLE_HEAD, caption="\n".join(sheet.notes) or None, caption_justify="left")
    # Rich breaks cells before headings, so if only the cells fit, their widths are given.
    tight = width is not None and sheet.width() <= width < sheet.width(whole=True)
    for column, wide in zip(sheet.columns, sheet.widths(), strict=True):
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        shown.add_column(Text(column.title), justify=justify, width=wide if tight else None)
    for at, line in enumerate(sheet.cells()):
        if sheet.starts_group(at):
            shown.add_section()
        shown.add_row(*map(Text, line))
    return shown


def as_text(table: Sheet | pd.DataFrame) -> str:
    """Return the terminal's table as plain text, without colours."""
    sheet = _sheet(table)
    width = max(TERMINAL, sheet.width())
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(terminal(sheet, width))
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def _with_notes(form: Callable[..., str]) -> Callable[[Sheet | pd.DataFrame], str]:
    return lambda table: form(table, notes=True)


FORMATS: Mapping[str, Callable[[Sheet | pd.DataFrame], str]] = {
    "csv": as_csv,
    "html": _with_notes(as_html),
    "json": as_json,
    "md": _with_notes(as_markdown),
    "tex": as_latex,
    "text": as_text,
}


def render(table: Sheet | pd.DataFrame, name: str) -> str:
    """Return the table in a format, with its notes in formats for people.

    Raises:
        SpecError: for a name that is not in `FORMATS`.
    """
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name](table)
