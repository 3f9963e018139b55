"""One rule for all randomness."""

from __future__ import annotations

from itertools import combinations

import pytest

from ablate.spec.seeds import derive


def test_a_seed_is_a_function_of_its_parts_and_stays_what_it_was() -> None:
    """Golden: were these to change, every run would, and with them every record's meaning."""
    assert derive(0, "order", 1) == 452969769437431254
    assert derive(7, "weights", "blocks.0.attn.qkv") == 1300650773695448354


def test_different_parts_give_different_seeds() -> None:
    parts = [(0, "order", 1), (0, "order", 11), (0, "order", 1, 1), (1, "order", 0), ("0order", 1), (0, "offset", 1)]
    for one, other in combinations(parts, 2):
        assert derive(*one) != derive(*other)


@pytest.mark.parametrize("number", range(50))
def test_a_seed_fits_what_generators_take(number: int) -> None:
    assert 0 <= derive(number, "x") < 2**63
