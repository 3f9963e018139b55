"""Two trained models compared image by image, which is possible even with one seed.

The comparison holds for this pair of trained models on this test set: training with another seed gives another pair.
A statement about the method needs several seeds, see `ablate.results.stats`.
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
    """Two models on the same n images.

    Args:
        only_one: images that only the first classified correctly.
        only_other: images that only the second classified correctly.
        difference: top-1 of the first minus that of the second, in percentage points.
        low: the lower end of its 95 % paired bootstrap interval over images; None if the models never differ.
        high: the upper end.
        p: two-sided, of McNemar's exact test of equal accuracy.
    """

    n: int
    only_one: int
    only_other: int
    difference: float
    low: float | None
    high: float | None
    p: float


def outcomes(metrics: Mapping[str, Any]) -> Outcomes | None:
    """Return whether each test image was classified correctly, (n,); None if the record does not hold all of them."""
    n, text = metrics["n"], metrics.get("correct")
    try:
        packed = np.frombuffer(base64.b64decode(text or "", validate=True), np.uint8)
    except (binascii.Error, TypeError, ValueError):
        return None
    return np.unpackbits(packed, count=n).astype(bool) if n and len(packed) == -(-n // 8) else None


def compare(one: Outcomes, other: Outcomes, generator: np.random.Generator, level: float = LEVEL) -> Pair:
    """Compare two models by the outcomes of the same images in the same order, (n,) each."""
    n, only_one, only_other = len(one), int((one & ~other).sum()), int((other & ~one).sum())
    low, high = bootstrap(only_one, only_other, n, generator, level)
    return Pair(n, only_one, only_other, 100 * (only_one - only_other) / n, low, high, mcnemar(only_one, only_other))


def mcnemar(only_one: int, only_other: int) -> float:
    """Return the two-sided p value of McNemar's exact test on the numbers of discordant images.

    It is twice the smaller tail of the binomial distribution with probability 1/2, which is symmetric.
    """
    return min(1.0, 2 * float(bdtr(min(only_one, only_other), only_one + only_other, 0.5)))


def bootstrap(
    only_one: int, only_other: int, n: int, generator: np.random.Generator, level: float = LEVEL
) -> tuple[float | None, float | None]:
    """Return the percentile interval of the difference in percentage points, from resampling images as pairs.

    An image contributes +1, 0 or -1, so a resample is three counts from a multinomial distribution. That is the same as
    drawing n images with replacement, but its cost does not grow with n. Without discordant images there is no
    interval.
    """
    if not only_one + only_other:
        return None, None
    shares = np.array([only_one, only_other, n - only_one - only_other]) / n
    draws = generator.multinomial(n, shares, RESAMPLES)
    differences = 100 * (draws[:, 0] - draws[:, 1]) / n
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
