"""The ledger of published numbers: what every row must have, and the cells a reader must be warned of."""

from __future__ import annotations

from collections import Counter

import pytest

from ablate.model.cost import complexity
from ablate.results.published import STATUS, find, read_published
from ablate.spec.errors import SpecError
from ablate.spec.parts import MIXERS
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run


def test_every_row_says_where_it_comes_from() -> None:
    for row in read_published():
        assert row.status in STATUS, row
        assert row.mixing in MIXERS, row
        assert all((row.source, row.family, row.model)), row
        assert row.note or row.status != "disputed", f"a disputed cell says why: {row}"
        assert row.cost_called or row.gmacs is None or row.family == "big_vision", row


def test_every_number_is_in_range() -> None:
    for row in read_published():
        assert 5 <= row.top1 <= 85, row
        assert row.epochs in (90, 100, 150, 300, 400), row
        assert row.image_size in (224, 384), row
        assert row.patch is None or row.image_size % row.patch == 0, row
        assert row.params_m is None or 4 <= row.params_m <= 310, row
        assert row.gmacs is None or 1 <= row.gmacs <= 70, row


def test_no_row_stands_twice() -> None:
    counted = Counter((row.name, row.epochs) for row in read_published())
    assert set(counted.values()) == {1}
    assert len(counted) >= 36


def test_the_disputed_cells_of_the_paper_are_marked() -> None:
    disputed = {row.top1: row for row in read_published() if row.status == "disputed"}
    assert set(disputed) == {79.9, 77.9, 71.2}
    assert "81.8" in disputed[79.9].note
    assert all("384" in disputed[top1].note and disputed[top1].image_size == 384 for top1 in (77.9, 71.2))


def test_what_they_are_disputed_against_is_there() -> None:
    assert find("deit DeiT-Base/16").top1 == 81.8
    assert find("deit DeiT-Small/16").top1 == 79.9
    assert find("metaformer ViT-Base/16 (extra regularisation)").image_size == 224


def test_a_wrong_name_is_a_sentence() -> None:
    with pytest.raises(SpecError, match="did you mean 'deit DeiT-Base/16'"):
        find("deit DeiT-Base")


MODELS = {
    "paper FF-Tiny/16": PAPER["linear_tiny"],
    "paper FF-Base/16": PAPER["linear_base"],
    "paper FF-Large/32": PAPER["linear_large"],
    "paper Attention-only Tiny/16": PAPER["attention_only_tiny"],
}


@pytest.mark.parametrize("name", MODELS)
def test_published_sizes_are_those_of_our_models(name: str) -> None:
    found = complexity(Run(**MODELS[name]), 3, 1000)
    assert find(name).params_m == pytest.approx(found["params"] / 1e6, rel=0.01)
