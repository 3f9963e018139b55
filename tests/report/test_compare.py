"""What counts as the same: words, counts and keys to the letter, floats to a relative 1e-5 or to 1e-9."""

from __future__ import annotations

import pytest

from ablate.report import compare


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("86.0416666666", "86.0416666667"),
        ("a mean of 86.041666 ± 2.781234, n = 4", "a mean of 86.041667 ± 2.781233, n = 4"),
        ("0.0", "-3.1e-17"),
        ("1e-07", "1.000001e-07"),
        ("1,234,567.25", "1,234,567.5"),
        ("3.14159265.", "3.14159264."),
        ("", ""),
    ],
)
def test_floats_may_differ_in_their_last_digits(one: str, other: str) -> None:
    assert compare.same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("86.04", "86.05"),
        ("86.0416", "86.0430"),
        ("0.000001", "0.000002"),
        ("206,213,048", "206,213,049"),
        ("1000000", "1000001"),
        ("1000000", "1000000.0"),
        ("12e4567890", "12e4567891"),
        ("commit 1234567.1234567", "commit 1234567.12345678a"),
        ("torch 2.15.0", "torch 2.15.1"),
        ("torch 2.15.0+cu132", "torch 2.15.0+cu131"),
        ("+7.57 ± 4.41", "−7.57 ± 4.41"),
        ("a 1.5", "b 1.5"),
        ("1.5 and 2", "1.5 and 3"),
        ("a 1.5", "1.5 a"),
        ("1.5", ""),
        ("nan", "1.5"),
    ],
)
def test_everything_else_must_be_the_same(one: str, other: str) -> None:
    assert not compare.same(one, other)
    assert not compare.same(other, one)


def test_figures_are_compared_by_kind() -> None:
    derived = {"a": [{"x": [1, 2.0, None], "text": "n = 4"}]}
    assert not [*compare.figures("f", '{"a": [{"x": [1, 2.00001, null], "text": "n = 4"}]}', derived)]
    for written in (
        '{"a": [{"x": [2, 2.0, null], "text": "n = 4"}]}',
        '{"a": [{"x": [1, 2.0001, null], "text": "n = 4"}]}',
        '{"a": [{"x": [1, 2.0, 3.0], "text": "n = 4"}]}',
        '{"a": [{"x": [1, 2.0], "text": "n = 4"}]}',
        '{"a": [{"x": [1, 2.0, null, null], "text": "n = 4"}]}',
        '{"a": [{"x": [1, 2.0, null], "text": "n = 5"}]}',
        '{"a": [{"x": [1, 2.0, null]}]}',
        '{"a": [{"x": [1, 2.0, null], "text": "n = 4", "y": []}]}',
        '{"a": []}',
        '{"a": null}',
        "{}",
    ):
        assert len([*compare.figures("f", written, derived)]) == 1, written
