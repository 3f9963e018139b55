"""A table without a format: columns declared once, rows, and the notes below it.

Formats for people show `title` and `text(row)`; formats for machines contain `data`, in full precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: its heading.
        sources: the names of its values in a row; it is sorted by the first.
        text: returns the cell of a row.
        words: whether it contains words, which are left-aligned.
        spare: whether a narrow terminal may leave it out.
    """

    title: str
    sources: tuple[str, ...]
    text: Callable[[Row], str]
    words: bool = False
    spare: bool = False

    @property
    def numeric(self) -> bool:
        """Return whether it contains numbers, which are right-aligned."""
        return not self.words


@dataclass(frozen=True)
class Sheet:
    """A table.

    Args:
        data: the values for machines.
        notes: sentences that explain it.
        group: a source; a rule is drawn where its value changes. "" draws none.
        heading: the number of the column whose cell names its row.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    data: pd.DataFrame
    notes: Sequence[str] = ()
    group: str = ""
    heading: int = 0

    def cells(self) -> list[list[str]]:
        """Return the texts of all cells, one list per row."""
        return [[column.text(row) for column in self.columns] for row in self.rows]

    def widths(self, *, whole: bool = False) -> list[int]:
        """Return the characters per column for its cells on one line, and for each word of its heading or the whole."""
        heads = [[column.title] if whole else column.title.split() for column in self.columns]
        cells = [[column.text(row) for row in self.rows] for column in self.columns]
        return [max(map(len, [*head, *column])) for head, column in zip(heads, cells, strict=True)]

    def width(self, *, whole: bool = False) -> int:
        """Return the characters per line on a terminal: two of padding per column, and one between columns."""
        return sum(self.widths(whole=whole)) + 3 * len(self.columns) + 1

    def within(self, width: int) -> Sheet:
        """Return the table without the spare columns that do not fit, the last ones first; a note names them."""
        sheet, gone = self, list[str]()
        while sheet.width() > width and (spare := [column for column in sheet.columns if column.spare]):
            gone.insert(0, spare[-1].title)
            columns = [column for column in sheet.columns if column is not spare[-1]]
            sheet = replace(sheet, columns=columns)
        note = f"Too wide for this terminal: {', '.join(gone)}. Every --format includes them."
        return replace(sheet, notes=[*self.notes, note]) if gone else self

    def starts_group(self, at: int) -> bool:
        """Return whether there is a rule before that row."""
        return bool(self.group) and at > 0 and self.rows[at][self.group] != self.rows[at - 1][self.group]


def interval(name: str) -> tuple[str, str, str]:
    """Return the sources of a mean with its interval."""
    return name, f"{name}_low", f"{name}_high"


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as mappings."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
