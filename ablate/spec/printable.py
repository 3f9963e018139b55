"""Text from files, safe to print: a terminal would obey the escape sequences in it."""

from __future__ import annotations

import re

# Controls except tab and line feed (ESC, and CSI and OSC of 8 bits, are among them), changes of direction, and what is
# no character.
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def printable(text: str) -> str:
    """Return a text with its control characters written as escapes, such as \\x1b; tabs and line feeds are kept."""
    return UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
