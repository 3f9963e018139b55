"""Two models picture by picture: McNemar and the paired bootstrap, against scipy and statsmodels."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from ablate.results.per_image import bootstrap, compare, mcnemar, outcomes
from ablate.store.records import Record


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 5), (5, 0), (3, 9), (12, 12), (13, 12), (40, 90), (700, 800)])
def test_mcnemar_is_exact(one: int, other: int) -> None:
    assert mcnemar(one, other) == pytest.approx(
        statsmodels_mcnemar([[50, one], [other, 50]], exact=True).pvalue, rel=1e-9
    )
    if one + other:
        assert mcnemar(one, other) == pytest.approx(stats.binomtest(one, one + other).pvalue, rel=1e-9)


def test_the_bootstrap_is_of_pictures_with_both_their_outcomes() -> None:
    """scipy's, which draws the pictures themselves, gives the same interval."""
    one, other = generator().random((2, 400)) < [[0.8], [0.7]]
    found = compare(one, other, generator())
    wanted = stats.bootstrap(
        (100 * one.astype(float), 100 * other.astype(float)),
        lambda a, b, axis: (a - b).mean(axis),
        paired=True,
        method="percentile",
        rng=generator(),
    ).confidence_interval
    assert (found.low, found.high) == (pytest.approx(wanted.low, abs=0.3), pytest.approx(wanted.high, abs=0.3))
    assert found.difference == pytest.approx(100 * (one.mean() - other.mean()))
    assert (found.n, found.only_one - found.only_other) == (400, one.sum() - other.sum())


def test_pairing_matters() -> None:
    """Two models that err on the same pictures are told apart where two that err independently are not."""
    other = np.repeat([True, False], [350, 150])
    better = other.copy()
    better[[400, 410, 420, 430, 440, 450, 460, 470]] = True
    shuffled = generator().permutation(better)
    assert compare(better, other, generator()).p < 0.01
    assert compare(shuffled, other, generator()).p > 0.2
    low = compare(better, other, generator()).low
    assert low is not None
    assert low > 0


def test_the_bootstrap_covers() -> None:
    """95 % intervals over 1,000 pictures hold the true difference of 3 points in 93 to 97 % of 1,000 test sets."""
    draw = generator()
    counts = draw.multinomial(1000, [0.08, 0.05, 0.87], 1000)
    intervals = [bootstrap(int(one), int(other), 1000, draw) for one, other, _ in counts]
    held = [low <= 3 <= high for low, high in intervals if low is not None and high is not None]
    assert len(held) == 1000
    assert 0.93 <= np.mean(held) <= 0.97


def test_models_that_never_differ_have_no_interval() -> None:
    same = np.array([True, False, True])
    found = compare(same, same, generator())
    assert (found.low, found.high, found.p, found.difference) == (None, None, 1.0, 0.0)


def test_the_same_generator_gives_the_same_interval() -> None:
    assert bootstrap(5, 9, 100, generator()) == bootstrap(5, 9, 100, generator())


def test_the_outcomes_of_a_record_are_its_top1(trained: Record) -> None:
    found = outcomes(trained.metrics)
    assert found is not None
    assert found.shape == (trained.metrics["n"],)
    assert 100 * found.mean() == pytest.approx(trained.metrics["top1"], rel=1e-6)


FOUR = base64.b64encode(b"\xf0").decode()


@pytest.mark.parametrize(
    "metrics", [{"n": 8}, {"n": 8, "correct": ""}, {"n": 9, "correct": FOUR}, {"n": 8, "correct": "?"}, {"n": 0}]
)
def test_a_record_without_all_outcomes_has_none(metrics: dict[str, object]) -> None:
    assert outcomes(metrics) is None


def test_bits_are_unpacked_in_order() -> None:
    found = outcomes({"n": 7, "correct": FOUR})
    assert found is not None
    assert found.tolist() == [True] * 4 + [False] * 3
