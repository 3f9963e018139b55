"""Statistics over a few seeds: intervals, differences, Holm's correction, and minimum detectable effects.

The distributions come from scipy.special, which imports ten times faster than scipy.stats. The tests compare every
function here with scipy.stats and statsmodels, and `benchmarks/coverage.py` counts how often the intervals cover the
true value. Comparisons over images are in `ablate.results.per_image`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtrinc, stdtr, stdtrit

Array = NDArray[np.float64]

LEVEL = 0.95
POWER = 0.8
MANY_SEEDS = 1000

# A spread below this share of the values is rounding: top-1 is a float32, good to 7 digits.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `low` and `high` are None if the values have no spread."""

    mean: float
    n: int
    low: float | None
    high: float | None

    @property
    def half(self) -> float | None:
        """Return half of its width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Difference:
    """A difference of two means with its interval and two-sided p value; None if the values have no spread."""

    interval: Interval
    p: float | None


def t_interval(values: Sequence[float], level: float = LEVEL, scale: float | None = None) -> Interval:
    """Return Student's t interval of a mean over seeds, or of paired differences.

    One seed has no interval. Neither have seeds that agree to the last digit: a zero spread comes from the rounding of
    a small test set, not from training. The percentile bootstrap is not used over seeds: at n = 2 its coverage is only
    half of the nominal one.

    Args:
        scale: the magnitude of the numbers that the values were computed from; None is that of the values.
    """
    array = np.asarray(values, dtype=float)
    n, mean = len(array), float(array.mean())
    if not has_spread(array, scale):
        return Interval(mean, n, None, None)
    half = float(half_width(array.std(ddof=1), n, level))
    return Interval(mean, n, mean - half, mean + half)


def has_spread(values: Array, scale: float | None = None) -> bool:
    """Return whether the values differ by more than rounding."""
    size = np.abs(values).max() if scale is None else scale
    return len(values) > 1 and bool(np.ptp(values) > ROUNDING * size)


def half_width(sd: ArrayLike, n: ArrayLike, level: float = LEVEL) -> Array:
    """Return half the width of the t interval of means of n values with standard deviation `sd`; NaN if n < 2."""
    sd, n = np.asarray(sd, dtype=float), np.asarray(n, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(n > 1, stdtrit(n - 1, (1 + level) / 2) * sd / np.sqrt(n), np.nan))


def welch_half_width(
    sd: ArrayLike, n: ArrayLike, other_sd: ArrayLike, other_n: ArrayLike, level: float = LEVEL
) -> Array:
    """Return half the width of Welch's t interval of differences of two means, each n at least 2; elementwise."""
    error, freedom = _welch(sd, n, other_sd, other_n)
    return np.asarray(stdtrit(freedom, (1 + level) / 2) * error)


def _welch(sd: ArrayLike, n: ArrayLike, other_sd: ArrayLike, other_n: ArrayLike) -> tuple[Array, Array]:
    """Return the standard error of a difference of two means, and its Welch-Satterthwaite degrees of freedom."""
    n, other_n = np.asarray(n, dtype=float), np.asarray(other_n, dtype=float)
    one, other = np.square(sd) / n, np.square(other_sd) / other_n
    freedom = (one + other) ** 2 / (one**2 / (n - 1) + other**2 / (other_n - 1))
    return np.sqrt(one + other), freedom


def paired(values: Sequence[float], others: Sequence[float], level: float = LEVEL) -> Difference:
    """Return values minus others, paired by seed: the interval and the test that verdicts use.

    They are exact if the differences are normal, for any two variances and any effect of the seed that both share.
    """
    one, other = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    interval = t_interval(list(one - other), level, _size(one, other))
    if interval.half is None:
        return Difference(interval, None)
    error = (one - other).std(ddof=1) / np.sqrt(len(one))
    return Difference(interval, _p_value(interval.mean / error, len(one) - 1))


def welch(values: Sequence[float], others: Sequence[float], level: float = LEVEL) -> Difference:
    """Return the difference of two means without pairing, with Welch's interval.

    It needs two seeds of each. The interval is approximate: at n = 2 it is too wide for equal variances, and slightly
    too narrow for very unequal ones.
    """
    one, other = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    mean, n = float(one.mean() - other.mean()), min(len(one), len(other))
    size = _size(one, other)
    if n < 2 or not (has_spread(one, size) or has_spread(other, size)):
        return Difference(Interval(mean, n, None, None), None)
    sizes = one.std(ddof=1), len(one), other.std(ddof=1), len(other)
    half, (error, freedom) = float(welch_half_width(*sizes, level)), _welch(*sizes)
    return Difference(Interval(mean, n, mean - half, mean + half), _p_value(mean / float(error), float(freedom)))


def _size(*arrays: Array) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


def _p_value(t: float, freedom: float) -> float:
    """Return the two-sided p value."""
    return float(2 * stdtr(freedom, -abs(t)))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted by Holm's step-down method, which controls the family-wise error rate.

    Missing values stay missing and do not count.
    """
    order = sorted((value, at) for at, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    least = 0.0
    for rank, (value, at) in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * value))
        adjusted[at] = least
    return adjusted


def detectable(sd: float, n: int, power: float = POWER, level: float = LEVEL) -> float:
    """Return the minimum detectable effect: the smallest true difference that n paired seeds detect with this power.

    Args:
        sd: standard deviation of the paired differences.
    """
    return float(_noncentrality(n, power, level) * sd / np.sqrt(n))


def _noncentrality(n: int, power: float, level: float) -> Any:
    return nctdtrinc(n - 1, 1 - power, stdtrit(n - 1, (1 + level) / 2))


def seeds_needed(
    difference: float, sd: float, power: float = POWER, level: float = LEVEL, most: int = MANY_SEEDS
) -> int | None:
    """Return the fewest paired seeds that detect a true difference with this power; None if `most` do not.

    Args:
        sd: standard deviation of the paired differences.
    """
    low, high = 2, most
    if detectable(sd, high, power, level) > abs(difference):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if detectable(sd, middle, power, level) <= abs(difference) else (middle + 1, high)
    return low
