"""Claims judged by intervals: each decision, and when there is none."""

from __future__ import annotations

import pytest

from ablate.model.cost import complexity
from ablate.results.table import study_frame
from ablate.results.verdict import Verdict, judge
from ablate.study.claims import Claim, Inequality, loss, macs, params, top1
from ablate.study.study import Scale, Study
from tests.tiny import TINY, record_of

FIELDS = {name: value for name, value in TINY.to_dict().items() if name not in ("seed", "mixer")}
ATTENTION = [80.0, 81.0, 82.0]
PARAMS = {"attention": 900, "patch_ff": 700}


def verdict(holds: Inequality, patch_ff: list[float], attention: list[float] | None = None, skip: int = 0) -> Verdict:
    """The verdict on a claim, given the top-1 of each seed; patch FF's seeds start at `skip`."""
    study = Study(
        question="Which?",
        axes={"mixer": ["attention", "patch_ff"]},
        scales={"small": Scale(FIELDS)},
        claims=[Claim("so", holds)],
    )
    found = [
        record_of(TINY.replace(mixer=mixer, seed=seed), top1=value, loss=value / 80, params=PARAMS[mixer])
        for mixer, values, first in (
            ("attention", ATTENTION if attention is None else attention, 0),
            ("patch_ff", patch_ff, skip),
        )
        for seed, value in enumerate(values, start=first)
    ]
    (judged,) = judge(study, "small", study_frame(study, "small", found))
    assert judged.claim.sentence == "so"
    return judged


GAP = top1(mixer="patch_ff") - top1(mixer="attention")
CLOSE = [78.0, 79.1, 79.9]  # differences -2, -1.9, -2.1: mean -2, half 0.248


@pytest.mark.parametrize(
    ("holds", "decision"),
    [
        (GAP > -5, "supported"),
        (GAP < 0, "supported"),
        (GAP > 0, "contradicted"),
        (GAP < -5, "contradicted"),
        (GAP > -2, "undecided"),
        (GAP < -2, "undecided"),
        (GAP > -2.2, "undecided"),
        (GAP > -2.3, "supported"),
        (-GAP > 1, "supported"),
        (top1(mixer="patch_ff") > top1(mixer="attention") - 5, "supported"),
        (2 * GAP > -5, "supported"),
        (2 * GAP > -4.3, "undecided"),
    ],
    ids=str,
)
def test_the_interval_decides_not_the_mean(holds: Inequality, decision: str) -> None:
    found = verdict(holds, CLOSE)
    assert found.decision == decision
    assert found.interval is not None
    assert found.interval.n == 3


def test_the_reason_gives_estimate_interval_and_what_would_decide() -> None:
    """Differences of 0.1 around 0.2 above the threshold: sd 0.1, so 3 seeds show 3.264 · 0.1, and 5 show 0.2."""
    found = verdict(GAP > -2.2, CLOSE)
    assert found.reason == (
        "\N{MINUS SIGN}2.00 ± 0.25 (95 % interval, paired by seed, n = 3); 0.20 pp from the threshold; "
        "minimum detectable effect with 3 seeds: 0.33 pp; seeds needed: about 5, "
        "if the observed effect is the true one"
    )
    assert "seeds needed" not in verdict(GAP > -5, CLOSE).reason
    assert "seeds needed: over 1,000" in verdict(GAP > -2, CLOSE).reason


def test_a_unit_is_named_where_it_is_one() -> None:
    assert "points" not in verdict(loss(mixer="patch_ff") > 0.99, CLOSE).reason


@pytest.mark.parametrize("same", [[79.0, 80.0], [79.0, 80.0, 81.0]])
def test_seeds_that_all_give_the_same_decide_nothing(same: list[float]) -> None:
    """Two equal differences on a small test set are a tie of rounding, not a certainty."""
    found = verdict(GAP > -5, same)
    assert found.decision == "undecided"
    assert found.reason.startswith(f"n = {len(same)}: all seeds give the same")


def test_pairing_by_seed_sees_what_the_spread_between_seeds_would_hide() -> None:
    assert verdict(GAP > 0, [60.0 + 0.5, 70.0 + 0.6, 80.0 + 0.4], [60.0, 70.0, 80.0]).decision == "supported"


def test_one_seed_decides_nothing() -> None:
    found = verdict(GAP > -50, [79.0], [80.0])
    assert found.decision == "undecided"
    assert found.reason == "n = 1: one seed gives no interval; train two or more"


@pytest.mark.parametrize(
    ("patch_ff", "attention", "skip"), [([], ATTENTION, 0), (CLOSE, [], 0), ([], [], 0), (CLOSE, ATTENTION, 3)]
)
def test_without_a_shared_seed_nothing_is_measured(patch_ff: list[float], attention: list[float], skip: int) -> None:
    found = verdict(GAP > -50, patch_ff, attention, skip)
    assert found.decision == "undecided"
    assert found.reason.startswith("not measured")
    assert found.interval is None


def test_json_has_the_numbers_of_the_expression_itself() -> None:
    found = verdict(GAP > -5, CLOSE).content()
    assert (found["threshold"], found["n"]) == (-5, 3)
    assert [found[name] for name in ("mean", "low", "high")] == pytest.approx([-2.0, -2.248, -1.752], abs=1e-3)
    assert [verdict(GAP > -5, []).content()[name] for name in ("mean", "low", "high", "n")] == [None] * 4


def test_only_shared_seeds_count() -> None:
    found = verdict(GAP > -5, CLOSE, skip=1)
    assert found.interval is not None
    assert found.interval.n == 2


def test_a_quantity_of_one_variant_against_a_number() -> None:
    assert verdict(top1(mixer="attention") > 70, CLOSE).decision == "supported"
    assert verdict(top1() > 81, CLOSE).decision == "undecided"


FEWER = params(mixer="patch_ff") < params(mixer="attention")


@pytest.mark.parametrize(
    ("holds", "decision"),
    [
        (FEWER, "supported"),
        (params(mixer="patch_ff") > params(mixer="attention"), "contradicted"),
        (params(mixer="patch_ff") < 700, "contradicted"),
        (params(mixer="patch_ff") > 700, "contradicted"),
        (params(mixer="patch_ff") > 699, "supported"),
    ],
    ids=str,
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_what_does_not_depend_on_the_seed_is_exact(holds: Inequality, decision: str, seeds: int) -> None:
    found = verdict(holds, CLOSE[:seeds], ATTENTION[:seeds])
    assert found.decision == decision
    assert found.reason == "exact: it does not depend on the seed"


def test_exact_values_need_no_shared_seed() -> None:
    assert verdict(FEWER, CLOSE, skip=3).decision == "supported"


def test_without_a_run_the_formulas_decide() -> None:
    """A study of costs alone is judged before anything is trained."""
    formula = {mixer: complexity(TINY.replace(mixer=mixer), 1, 10)["params"] for mixer in PARAMS}
    gap = formula["patch_ff"] - formula["attention"]
    exactly = params(mixer="patch_ff") - params(mixer="attention")
    assert verdict(exactly > gap - 1, [], []).decision == "supported"
    assert verdict(exactly < gap - 1, [], []).decision == "contradicted"
    assert verdict(FEWER, []).reason == "exact: it does not depend on the seed"
    found = verdict(macs() > 0, [], [])
    assert (found.decision, found.reason) == ("supported", "exact: it does not depend on the seed")
    assert found.interval is not None
    assert found.interval.mean == complexity(TINY.replace(mixer="attention"), 1, 10)["macs"]


def test_what_is_measured_still_needs_runs_where_sizes_do_not() -> None:
    assert verdict(top1() + 0 * params() > 0, [], []).reason.startswith("not measured")


def test_exact_and_measured_may_be_mixed() -> None:
    """Points of accuracy for each parameter saved."""
    holds = GAP + 0.1 * (params(mixer="attention") - params(mixer="patch_ff")) > 0
    assert verdict(holds, CLOSE).decision == "supported"
