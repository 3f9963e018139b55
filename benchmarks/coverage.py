"""The coverage of the intervals over seeds, and their rate of false positives.

    python benchmarks/coverage.py

Two equally good variants are drawn from normal distributions, 100,000 times. "apart": nothing is shared. "shared":
half of the first variant's variance is an effect of the seed that both variants have. One row per number of seeds and
ratio of the two standard deviations; each cell is the share of 95 % intervals that contain the true difference, 0. The
rest to 100 % are false positives. The percentile bootstrap is of one variant's mean.
"""

from __future__ import annotations

import numpy as np

from ablate.results.stats import Array, half_width, welch_half_width

SIMULATIONS = 100_000
RESAMPLES = 1000
SEEDS = (2, 3, 5, 10)
RATIOS = (1, 2, 3, 5, 10, 100)


def covered(n: int, ratio: float, *, shared: bool) -> tuple[float, float]:
    """The coverage of the paired and of Welch's interval, in percent."""
    generator = np.random.default_rng([n, ratio, shared])
    own, seed = generator.normal(0, 1, (2, SIMULATIONS, n)), generator.normal(0, 1, (SIMULATIONS, n))
    one, other = own[0] + shared * seed, ratio * own[1] + shared * seed
    away = np.abs((one - other).mean(1))
    halves: tuple[Array, Array] = (
        half_width((one - other).std(1, ddof=1), n),
        welch_half_width(one.std(1, ddof=1), n, other.std(1, ddof=1), n),
    )
    paired, welch = (100 * float((away <= half).mean()) for half in halves)
    return paired, welch


def bootstrap_covered(n: int) -> float:
    """The coverage of the percentile bootstrap of a mean over seeds, in percent."""
    generator = np.random.default_rng(n)
    hits = 0
    for values in generator.normal(0, 1, (SIMULATIONS // 20, n)):
        means = values[generator.integers(0, n, (RESAMPLES, n))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        hits += bool(low <= 0 <= high)
    return 100 * hits / (SIMULATIONS // 20)


def main() -> None:
    """Print the table."""
    print(f"coverage of 95 % intervals, {SIMULATIONS:,} simulations")
    print("seeds  sd ratio   paired, apart   paired, shared   Welch, apart   Welch, shared")
    for n in SEEDS:
        for ratio in RATIOS:
            (paired, welch), (paired_shared, welch_shared) = (covered(n, ratio, shared=s) for s in (False, True))
            print(f"{n:5}  1 : {ratio:<4}  {paired:13.2f} {paired_shared:16.2f} {welch:14.2f} {welch_shared:15.2f}")
    for n in SEEDS:
        print(f"percentile bootstrap of a mean, {n} seeds: {bootstrap_covered(n):.1f}")


if __name__ == "__main__":
    main()
