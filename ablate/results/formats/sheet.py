"""A table before it has a format: columns declared once, rows, and the notes that stand under it.

Tables for people show `title` and `text(row)`; files for machines hold `data`, in full precision.
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
        title: its head.
        sources: the names of what it is made of in a row; the first is what it is sorted by.
        text: a row's cell.
        words: whether it holds words, which are aligned to the left.
        spare: whether a narrow terminal may leave it out.
    """

    title: str
    sources: tuple[str, ...]
    text: Callable[[Row], str]
    words: bool = False
    spare: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which are aligned to the right."""
        return not self.words


@dataclass(frozen=True)
class Sheet:
    """A table.

    Args:
        data: what machines get.
        notes: sentences that explain it.
        group: a source; where its value changes a rule is drawn. "" draws none.
        heading: the column whose cell names its row.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    data: pd.DataFrame
    notes: Sequence[str] = ()
    group: str = ""
    heading: int = 0

    def cells(self) -> list[list[str]]:
        """The table as people read it, a list of cells a row."""
        return [[column.text(row) for column in self.columns] for row in self.rows]

    def widths(self, *, whole: bool = False) -> list[int]:
        """Characters each column needs for every cell on one line, and every word of its head, or the `whole` head."""
        heads = [[column.title] if whole else column.title.split() for column in self.columns]
        cells = [[column.text(row) for row in self.rows] for column in self.columns]
        return [max(map(len, [*head, *column])) for head, column in zip(heads, cells, strict=True)]

    def width(self, *, whole: bool = False) -> int:
        """Characters of a line on a terminal that holds them: two of padding, and one between columns."""
        return sum(self.widths(whole=whole)) + 3 * len(self.columns) + 1

    def within(self, width: int) -> Sheet:
        """The table without spare columns for which a line has no room, the last ones first; a note says which."""
        sheet, gone = self, list[str]()
        while sheet.width() > width and (spare := [column for column in sheet.columns if column.spare]):
            gone.insert(0, spare[-1].title)
            columns = [column for column in sheet.columns if column is not spare[-1]]
            sheet = replace(sheet, columns=columns)
        told = f"No room on this terminal for: {', '.join(gone)}. They are in every --format."
        return replace(sheet, notes=[*self.notes, told]) if gone else self

    def starts_group(self, at: int) -> bool:
        """Whether a rule stands before that row."""
        return bool(self.group) and at > 0 and self.rows[at][self.group] != self.rows[at - 1][self.group]


def interval(name: str) -> tuple[str, str, str]:
    """The sources of a mean with its interval."""
    return name, f"{name}_low", f"{name}_high"


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as mappings."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
