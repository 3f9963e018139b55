"""Control characters are written as escapes; other text is unchanged."""

from __future__ import annotations

import pytest

from ablate.spec.printable import printable


@pytest.mark.parametrize("text", ["", "a\tb\nc", "86.2 % ± 0.3 · „ä“ 日本\u3000語\xa0🙂"])
def test_text_is_unchanged(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("good\rbad", "good\\rbad"),
        ("\u202etxt", "\\u202etxt"),
    ],
)
def test_controls_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
