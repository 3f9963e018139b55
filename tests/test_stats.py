"""Intervals, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablate.stats import Interval, t_interval


@pytest.mark.parametrize(
    ("values", "mean", "half"),
    [
        # t(0.975, 2) = 4.302653, sd 1, over √3
        ([1.0, 2.0, 3.0], 2.0, 2.484138),
        # t(0.975, 1) = 12.706205, sd 1/√2, over √2
        ([0.0, 1.0], 0.5, 6.353102),
        # t(0.975, 4) = 2.776445, sd √2.5, over √5
        ([1, 2, 3, 4, 5], 3.0, 1.963243),
        ([7.0, 7.0, 7.0], 7.0, 0.0),
    ],
)
def test_students_interval_by_hand(values: list[float], mean: float, half: float) -> None:
    found = t_interval(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == (pytest.approx(mean - half), pytest.approx(mean + half))


def test_one_value_has_no_interval() -> None:
    assert t_interval([3.0]) == Interval(3.0, 1, None, None)
    assert (t_interval([3.0]).low, t_interval([3.0]).high) == (None, None)


def test_a_paired_test_says_the_same() -> None:
    """The interval of differences leaves out zero exactly when scipy's paired t test rejects at 5 %."""
    generator = np.random.default_rng(0)
    decisions = set()
    for _ in range(50):
        one, other = generator.normal(0, 1, 4), generator.normal(0.8, 1, 4)
        found = t_interval(list(one - other))
        assert found.low is not None
        assert found.high is not None
        rejected = stats.ttest_rel(one, other).pvalue < 0.05
        assert (not found.low <= 0 <= found.high) == rejected
        decisions.add(bool(rejected))
    assert decisions == {True, False}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_it_covers_the_mean_as_often_as_it_says(n: int) -> None:
    generator = np.random.default_rng(n)
    samples = generator.normal(10, 2, (2000, n))
    intervals = [t_interval(list(sample)) for sample in samples]
    covered = np.mean([i.low <= 10 <= i.high for i in intervals if i.low is not None and i.high is not None])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_a_higher_level_is_wider() -> None:
    assert (t_interval([1, 2, 3], 0.99).high or 0) > (t_interval([1, 2, 3]).high or 0)
