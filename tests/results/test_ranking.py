"""Who is faster, in how many modes: paired by round, never from bare means."""

from __future__ import annotations

import math

import pytest

from ablate.measure.frames import Measured
from ablate.measure.subjects import Subject
from ablate.results.ranking import PairRanking, by_round, rankings, stability, swapped
from tests.measure.fake import measured
from tests.tiny import TINY

ONE, OTHER, THIRD = (Subject(name, TINY.replace(dim=dim), "", 1, 10) for name, dim in (("a", 16), ("b", 32), ("c", 48)))
MODES = [f"{dtype}-{how}-nchw-inference" for dtype in ("fp32", "bf16") for how in ("eager", "compile")]


def test_the_ratio_is_that_of_the_rounds() -> None:
    (pair,) = rankings([measured(ONE, [100.0, 200.0, 400.0]), measured(OTHER, [50.0, 101.0, 199.0])])
    assert (pair.one, pair.other, pair.n) == ("a", "b", 3)
    assert pair.ratio == pytest.approx(2.0, rel=0.01)
    assert pair.low
    assert pair.high
    assert 1.9 < pair.low < pair.ratio < pair.high < 2.1, "what moves both in a round does not blur their ratio"
    assert pair.verdict == "faster"


def test_a_difference_within_the_noise_is_undecided() -> None:
    (pair,) = rankings([measured(ONE, [100.0, 103.0, 98.0]), measured(OTHER, [101.0, 99.0, 100.0])])
    assert pair.verdict == "undecided"


@pytest.mark.parametrize("rounds", [0, 1])
def test_too_few_common_rounds_decide_nothing(rounds: int) -> None:
    one, other = measured(ONE, [100.0, 101.0]), measured(OTHER, [50.0, 51.0])
    for window in other.found.windows[rounds:]:
        window["session"] = "another"
    (pair,) = rankings([one, other])
    assert (pair.n, pair.low, pair.verdict) == (rounds, None, "undecided")


def test_the_control_s_last_window_belongs_to_no_round() -> None:
    found = measured(ONE, [100.0, 101.0]).found
    found.windows.append(found.windows[-1] | {"last": True, "rate": 1.0})
    assert by_round(found) == {("s", 1): 100.0, ("s", 2): 101.0}


def in_modes(*faster: float) -> list[Measured]:
    """Model a and b in some modes: how many times as fast a is."""
    found = []
    for mode, ratio in zip(MODES, faster, strict=False):
        found.append(measured(ONE, [100.0 * ratio, 101.0 * ratio, 102.5 * ratio], mode))
        found.append(measured(OTHER, [100.0, 101.1, 102.4], mode))
    return found


def test_an_order_that_flips_with_the_mode_is_counted() -> None:
    (pair,) = stability(rankings(in_modes(1.5, 0.7, 0.6, 1.0)))
    assert (pair.one, pair.other) == ("b", "a")
    assert [pair.count("faster"), pair.count("slower"), pair.count("undecided")] == [2, 1, 1]
    assert pair.sentence() == "b faster than a in 2 of 4 modes, slower in 1, undecided in 1"


def test_one_that_holds_everywhere_is_told_shortly() -> None:
    (pair,) = stability(rankings(in_modes(1.5)))
    assert pair.sentence() == "a faster than b in 1 of 1 mode"


def test_every_pair_in_every_mode_at_one_batch_size() -> None:
    found = [
        measured(subject, [100.0 * at, 101.0 * at], mode, batch=batch)
        for at, subject in enumerate((ONE, OTHER, THIRD), start=1)
        for mode in MODES[:2]
        for batch in (64, 1)
    ]
    assert len(rankings(found)) == 3 * 2
    assert {pair.batch for pair in rankings(found)} == {64}
    assert {pair.batch for pair in rankings(found, batch=1)} == {1}


def test_devices_are_kept_apart() -> None:
    there = [Measured(one.variant, "A GPU", "a-gpu", one.found) for one in in_modes(0.5)]
    found = stability(rankings([*in_modes(1.5), *there]))
    assert [(pair.device, pair.one) for pair in found] == [("A CPU", "a"), ("A GPU", "b")]


def test_turned_an_order_says_the_same() -> None:
    pair = PairRanking("a", "b", "d", "m", 1, ratio=2.0, low=1.6, high=2.5, n=3)
    assert swapped(swapped(pair)) == pair
    assert (swapped(pair).low, swapped(pair).high) == (0.4, 0.625)
    assert swapped(pair).verdict == "slower"


def test_models_never_measured_together_have_no_ratio() -> None:
    one, other = measured(ONE, [100.0]), measured(OTHER, [50.0])
    other.found.windows[0]["session"] = "another"
    (pair,) = rankings([one, other])
    assert math.isnan(pair.ratio)
