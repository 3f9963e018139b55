"""What many pictures allow one to say of two trained models, picture by picture, even where there is one seed.

Such a comparison is of this pair of trained models on this test set: training again with another seed gives another
pair. What holds for the method needs seeds, see `ablate.results.stats`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from ablate.results.stats import LEVEL

RESAMPLES = 10_000

Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """Two models on the same n pictures.

    Args:
        only_one: pictures that only the first got right.
        only_other: pictures that only the second got right.
        difference: top-1 of the first minus the second's, in points.
        low: of its 95 % paired bootstrap interval over the pictures; None where the models never differ.
        high: of the same.
        p: two-sided, of McNemar's exact test that both are right equally often.
    """

    n: int
    only_one: int
    only_other: int
    difference: float
    low: float | None
    high: float | None
    p: float


def outcomes(metrics: Mapping[str, Any]) -> Outcomes | None:
    """Whether each test picture was right, (n,), from a record's packed bits; None where it does not hold them all."""
    n, text = metrics["n"], metrics.get("correct")
    try:
        packed = np.frombuffer(base64.b64decode(text or "", validate=True), np.uint8)
    except (binascii.Error, TypeError, ValueError):
        return None
    return np.unpackbits(packed, count=n).astype(bool) if n and len(packed) == -(-n // 8) else None


def compare(one: Outcomes, other: Outcomes, generator: np.random.Generator, level: float = LEVEL) -> Pair:
    """Compare two models, given the outcome of each picture in the same order, (n,) each."""
    n, only_one, only_other = len(one), int((one & ~other).sum()), int((other & ~one).sum())
    low, high = bootstrap(only_one, only_other, n, generator, level)
    return Pair(n, only_one, only_other, 100 * (only_one - only_other) / n, low, high, mcnemar(only_one, only_other))


def mcnemar(only_one: int, only_other: int) -> float:
    """Two-sided p value of McNemar's exact test: of the pictures that one model alone got right, half are the first's.

    It doubles the smaller tail of the binomial distribution with 1/2, which is symmetric.
    """
    return min(1.0, 2 * float(bdtr(min(only_one, only_other), only_one + only_other, 0.5)))


def bootstrap(
    only_one: int, only_other: int, n: int, generator: np.random.Generator, level: float = LEVEL
) -> tuple[float | None, float | None]:
    """Percentile interval of the difference in points, from resampling pictures with both their outcomes.

    A picture counts +1, 0 or -1, so a resample is a draw of three counts from a multinomial distribution: the same as
    drawing n pictures with replacement, at no cost in n. Where no picture counts, there is nothing to resample.
    """
    if not only_one + only_other:
        return None, None
    shares = np.array([only_one, only_other, n - only_one - only_other]) / n
    draws = generator.multinomial(n, shares, RESAMPLES)
    differences = 100 * (draws[:, 0] - draws[:, 1]) / n
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
