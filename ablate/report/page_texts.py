"""The texts of a page, each with its location, so that two pages can be compared cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from html.parser import HTMLParser
from typing import NamedTuple

SILENT = {"style", "script", "svg"}
HEADINGS = {"h1", "h2", "h3"}


class Text(NamedTuple):
    """A text and its location: the heading above it and, in a table, its row and column."""

    where: str
    text: str


class _Reader(HTMLParser):
    """Collects the texts of a page, except those of figures, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Text] = []
        self._silent = 0
        self._heading, self._row = "", ""
        self._head: list[str] = []
        self._column = -1
        self._words: list[str] = []
        self._in_head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._silent += tag in SILENT
        if tag in HEADINGS | {"td", "th", "tr", "thead"}:
            self._close()
        if tag == "thead":
            self._head, self._in_head = [], True
        elif tag == "tr":
            self._row, self._column = "", -1
        elif tag in ("td", "th"):
            self._column += 1

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT
        text = " ".join("".join(self._words).split())
        if tag in HEADINGS:
            self._heading = text
        elif tag in ("td", "th"):
            self._cell(text)
            return
        elif tag == "thead":
            self._in_head = False
        elif tag == "table":
            self._head = []
        if tag in HEADINGS | {"p", "li", "dt", "dd", "figcaption", "pre", "summary", "legend", "label", "div"}:
            self._close()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)

    def _cell(self, text: str) -> None:
        column = self._head[self._column] if self._column < len(self._head) else ""
        if self._in_head:
            self._head.append(text)
        elif not self._row and self._column == 0:
            self._row = text
        self._close(*dict.fromkeys([self._row, column]))

    def _close(self, *where: str) -> None:
        """End the current text."""
        text = " ".join("".join(self._words).split())
        self._words = []
        if text or where:
            self.found.append(Text(", ".join(filter(None, [self._heading, *where])), text))


def texts(html: str) -> list[Text]:
    """Return all texts of a page in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


def changed(page: str, derived: str, same: Callable[[str, str], bool]) -> Iterator[str]:
    """Yield one sentence for each difference between a page and the derived one.

    Args:
        same: returns whether two texts are equal.
    """
    mine, its = texts(page), texts(derived)
    if len(mine) == len(its):
        pairs = zip(mine, its, strict=True)
        yield from (
            _difference(one.where, one.text, other.text) for one, other in pairs if not same(one.text, other.text)
        )
        return
    for kind, start, end, other_start, other_end in SequenceMatcher(None, mine, its, autojunk=False).get_opcodes():
        if kind != "equal":
            one, other = mine[start:end], its[other_start:other_end]
            where = (one or other)[0].where
            yield _difference(where, " | ".join(text.text for text in one), " | ".join(text.text for text in other))


def _difference(where: str, one: str, other: str) -> str:
    return f"{where}: the page shows {_short(one)}, the records give {_short(other)}"


def _short(text: str, most: int = 120) -> str:
    if not text:
        return "nothing"
    return f"“{text}”" if len(text) <= most else f"“{text[:most]}…”"
