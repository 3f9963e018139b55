"""Text from files, safe to print: a terminal would obey the escape sequences in it."""

from __future__ import annotations

import re

# Controls except tab and line feed (ESC, and CSI and OSC of 8 bits, are among them), changes of direction, separators
# of lines, and what is no character or half of one, which no terminal can encode.
UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
LONGEST = 80  # letters of a value in a message


def printable(text: str) -> str:
    """Return a text with its control characters written as escapes, such as \\x1b; tabs and line feeds are kept."""
    return UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return a text on one line: printable, with single spaces for tabs, line feeds and runs of spaces."""
    return printable(" ".join(text.split()))


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and cut where it is long."""
    try:
        text = one_line(repr(value))
    except Exception:  # a class of the user's own, or an integer with more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
