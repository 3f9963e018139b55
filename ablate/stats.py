"""Intervals: what a few seeds, or many pictures, allow one to say. The distributions are scipy's.

Their quantiles come from scipy.special, which imports ten times faster than scipy.stats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `low` and `high` are None where n is 1."""

    mean: float
    n: int
    low: float | None
    high: float | None


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's t interval of a mean over seeds; for paired differences too, given the differences.

    The percentile bootstrap covers only 50 % at n = 2, so it is not used over seeds.
    """
    array = np.asarray(values, dtype=float)
    n, mean = len(array), float(array.mean())
    if n == 1:
        return Interval(mean, n, None, None)
    half = float(stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(n))
    return Interval(mean, n, mean - half, mean + half)
