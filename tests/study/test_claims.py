"""Claims as small objects: arithmetic, comparison, and no truth value."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.spec.errors import SpecError
from ablate.study.claims import Claim, Expression, Quantity, macs, params, top1

A, B = top1(mixer="patch_ff"), top1(mixer="attention")


def value(expression: Expression, **columns: float) -> float:
    """The expression's number, given each quantity's by the mixer it names."""
    return sum(f * columns[q.where["mixer"]] for f, q in expression.terms) + expression.constant


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (A, 70.0),
        (A + B, 150.0),
        (A - B, -10.0),
        (-A, -70.0),
        (A + 5, 75.0),
        (5 + A, 75.0),
        (A - 5, 65.0),
        (5 - A, -65.0),
        (2 * A, 140.0),
        (A * 2, 140.0),
        (2 * (A - B + 3) - 1, -15.0),
        (A + A, 140.0),
    ],
    ids=str,
)
def test_expressions_are_linear(expression: Expression, wanted: float) -> None:
    assert value(expression, patch_ff=70.0, attention=80.0) == wanted


@pytest.mark.parametrize(
    ("comparison", "threshold", "above"),
    [
        (A - B > -5, 5.0, True),
        (A - B < 3, -3.0, False),
        (A > B, 0.0, True),
        (A > B - 5, 5.0, True),
        (-5 < A - B, 5.0, True),  # noqa: SIM300 - the number may stand first
        (90 > A, -90.0, False),  # noqa: SIM300
    ],
    ids=str,
)
def test_a_comparison_is_with_zero(comparison: Any, threshold: float, above: bool) -> None:
    assert comparison.expression.constant == threshold
    assert comparison.above is above


@pytest.mark.parametrize("thing", [A, A - B, A > 5, A < B], ids=str)
def test_nothing_in_a_claim_has_a_truth_value(thing: Any) -> None:
    with pytest.raises(TypeError, match="has no truth value"):
        bool(thing)


def test_a_chained_comparison_cannot_lose_its_first_half() -> None:
    with pytest.raises(TypeError, match="has no truth value"):
        Claim("between", 5 < A < 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("holds", [A == B, True, A, 5 > 3])
def test_a_claim_wants_a_comparison(holds: Any) -> None:
    with pytest.raises(SpecError, match=r"claim 'so it is' must have a comparison by < or >, got"):
        Claim("so it is", holds)


@pytest.mark.parametrize("scales", ["digits", []])
def test_a_claims_scales_are_a_list_of_names(scales: Any) -> None:
    with pytest.raises(SpecError, match=r"scales of claim 'so' must be a list of names, got"):
        Claim("so", A > B, scales=scales)


def test_they_read_as_written() -> None:
    assert str(A - B > -5) == "top1(mixer=patch_ff) - top1(mixer=attention) > -5"
    assert str(2 * macs("big") < 7) == "2·macs(big) < 7"
    assert str(params() > B) == "params(control) - top1(mixer=attention) > 0"


def test_a_claim_knows_what_it_speaks_of() -> None:
    claim = Claim("so", A - params("big") > 0)
    assert claim.quantities() == [Quantity("top1", where={"mixer": "patch_ff"}), Quantity("params", "big")]
