"""Seeds of random numbers: fixed, distinct, and in the range of generators."""

from __future__ import annotations

from itertools import combinations

from ablate.spec.seeds import derive


def test_golden_seeds() -> None:
    """If these change, the results of every run change, and existing records no longer match their keys."""
    assert derive(0, "order", 1) == 452969769437431254
    assert derive(7, "weights", "blocks.0.attn.qkv") == 1300650773695448354


def test_different_parts_give_different_seeds() -> None:
    parts = [(0, "order", 1), (0, "order", 11), (0, "order", 1, 1), (1, "order", 0), ("0order", 1), (0, "offset", 1)]
    for one, other in combinations(parts, 2):
        assert derive(*one) != derive(*other)


def test_seeds_are_in_the_range_of_generators() -> None:
    assert all(0 <= derive(number, "x") < 2**63 for number in range(50))
