"""Escape text for each language, so that any name appears in a table as it was written."""

from __future__ import annotations

import re

from ablate.spec.printable import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "\N{MINUS SIGN}": "$-$",
    "–": "--",
    "—": "---",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "‖": r"$\|$",
}
# An underscore inside a word does not start emphasis, so names such as patch_ff stay readable in the source.
_MARKDOWN = re.compile(r"[\\`*\[\]<>#|$&~]|(?<![^\W_])_|_(?![^\W_])")


def latex(text: str) -> str:
    """Return text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def markdown(text: str) -> str:
    """Return text for Markdown, inside or outside a table."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], one_line(text))


def one_line(text: str) -> str:
    """Return text with each run of white space replaced by one space, and control characters written as escapes."""
    return printable(" ".join(text.split()))
