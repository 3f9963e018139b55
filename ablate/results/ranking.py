"""Which of two models is faster, and in how many modes: a ranking that depends on the mode is not one of the models.

In each mode, the two are compared by the logarithm of the ratio of their rates in each round, with Student's t
interval over the rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Literal

import pandas as pd

from ablate.measure.frames import Measured
from ablate.measure.protocol import Mode
from ablate.measure.record import Measurement
from ablate.results.stats import t_interval

Verdict = Literal["faster", "slower", "undecided"]
OTHERS: tuple[Verdict, ...] = ("slower", "undecided")


@dataclass(frozen=True)
class PairRanking:
    """Two models in one mode: the ratio of the rates, `one` to `other`, with its 95 % interval over `n` rounds.

    `low` and `high` are None if fewer than two rounds have a window of both.
    """

    one: str
    other: str
    device: str
    mode: str
    batch: int
    ratio: float
    low: float | None
    high: float | None
    n: int

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on `one`: decided if the whole interval is on one side of 1."""
        if self.low is not None and self.low > 1:
            return "faster"
        return "slower" if self.high is not None and self.high < 1 else "undecided"


@dataclass(frozen=True)
class Stability:
    """Two models in several modes on one device; the model that is faster in more modes comes first."""

    one: str
    other: str
    device: str
    rankings: Sequence[PairRanking]

    def count(self, verdict: Verdict) -> int:
        """Return the number of modes with that verdict."""
        return sum(pair.verdict == verdict for pair in self.rankings)

    def sentence(self) -> str:
        """Return a sentence such as "patch_ff faster than attention in 5 of 8 modes, slower in 2, undecided in 1"."""
        number = len(self.rankings)
        rest = [f"{v} in {n}" for v in OTHERS if (n := self.count(v))]
        modes = f"{number} mode{'' if number == 1 else 's'}"
        return ", ".join([f"{self.one} faster than {self.other} in {self.count('faster')} of {modes}", *rest])


def rankings(found: Iterable[Measured], batch: int | None = None) -> list[PairRanking]:
    """Return every pair of variants in every mode in which both were measured, in the order of the measurements.

    Args:
        batch: the batch size; None is each measurement's reference batch.
    """
    places: dict[tuple[str, str, int], dict[str, Measurement]] = {}
    for one in found:
        size = one.found.reference_batch if batch is None else batch
        if one.found.batch == size and one.found.windows:
            places.setdefault((one.device, Mode(**one.found.mode).words, size), {})[one.variant] = one.found
    return [
        compare((a, members[a]), (b, members[b]), place)
        for place, members in places.items()
        for a, b in combinations(members, 2)
    ]


def compare(one: tuple[str, Measurement], other: tuple[str, Measurement], place: tuple[str, str, int]) -> PairRanking:
    """Compare two measurements of one mode, each with its name, paired by round."""
    mine, yours = by_round(one[1]), by_round(other[1])
    logs = [math.log(mine[at] / yours[at]) for at in mine if at in yours]
    if not logs:
        return PairRanking(one[0], other[0], *place, ratio=math.nan, low=None, high=None, n=0)
    interval = t_interval(logs, scale=1.0)
    low, high = (None, None) if interval.low is None or interval.high is None else (interval.low, interval.high)
    return PairRanking(
        one[0],
        other[0],
        *place,
        ratio=math.exp(interval.mean),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        n=interval.n,
    )


def by_round(found: Measurement) -> dict[tuple[str, int], float]:
    """Return the rate of each round, by session and round; the control's last window belongs to no round."""
    return {(w["session"], w["round"]): w["rate"] for w in found.windows if not w["last"]}


def stability(found: Iterable[PairRanking]) -> list[Stability]:
    """Return for each device and pair in how many modes each model is faster; the faster one comes first."""
    pairs: dict[tuple[str, str, str], list[PairRanking]] = {}
    for pair in found:
        pairs.setdefault((pair.device, pair.one, pair.other), []).append(pair)
    return [_first_faster(Stability(one, other, device, tuple(each))) for (device, one, other), each in pairs.items()]


def _first_faster(found: Stability) -> Stability:
    if found.count("faster") >= found.count("slower"):
        return found
    return Stability(found.other, found.one, found.device, tuple(swapped(pair) for pair in found.rankings))


def swapped(pair: PairRanking) -> PairRanking:
    """Return the same comparison with the two models swapped."""
    low, high = (None if pair.high is None else 1 / pair.high), (None if pair.low is None else 1 / pair.low)
    place = (pair.device, pair.mode, pair.batch)
    return PairRanking(pair.other, pair.one, *place, ratio=1 / pair.ratio, low=low, high=high, n=pair.n)


def tidy(found: Iterable[PairRanking], labels: Iterable[str] = ()) -> pd.DataFrame:
    """Return one row per pair, with its `verdict`; `one` and `other` are ordered categories, `labels` first."""
    rows = [asdict(pair) | {"verdict": pair.verdict} for pair in found]
    table = pd.DataFrame(rows, columns=[*(item.name for item in fields(PairRanking)), "verdict"])
    known = list(dict.fromkeys([*labels, *(name for row in rows for name in (row["one"], row["other"]))]))
    names = pd.CategoricalDtype(known, ordered=True)
    return table.astype({"one": names, "other": names, "low": float, "high": float})
