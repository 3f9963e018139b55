"""Which of two models is faster, and in how many modes: an order that flips with the mode is no property of the models.

In each mode the two are compared window by window, round by round, by the logarithm of the ratio of their rates, with
Student's t interval over the rounds.
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
class Ranking:
    """Two models in one mode: how many times as fast `one` is as `other`, with the 95 % interval over `n` rounds.

    `low` and `high` are None where fewer than two rounds had a window of each.
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
        """Of `one`: decided where the whole interval lies on one side of 1."""
        if self.low is not None and self.low > 1:
            return "faster"
        return "slower" if self.high is not None and self.high < 1 else "undecided"


@dataclass(frozen=True)
class Stability:
    """Two models over several modes on one device, the one that is faster more often first."""

    one: str
    other: str
    device: str
    rankings: Sequence[Ranking]

    def count(self, verdict: Verdict) -> int:
        """The number of modes with that verdict."""
        return sum(order.verdict == verdict for order in self.rankings)

    def sentence(self) -> str:
        """Such as "patch_ff faster than attention in 5 of 8 modes, slower in 2, undecided in 1"."""
        number = len(self.rankings)
        rest = [f"{v} in {n}" for v in OTHERS if (n := self.count(v))]
        modes = f"{number} mode{'' if number == 1 else 's'}"
        return ", ".join([f"{self.one} faster than {self.other} in {self.count('faster')} of {modes}", *rest])


def rankings(found: Iterable[Measured], batch: int | None = None) -> list[Ranking]:
    """Every pair of variants in every mode in which both were measured, in the order they come.

    Args:
        batch: the batch size; None takes each measurement's reference batch.
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


def compare(one: tuple[str, Measurement], other: tuple[str, Measurement], place: tuple[str, str, int]) -> Ranking:
    """Two measurements of one mode, each with its name, paired by round."""
    mine, yours = by_round(one[1]), by_round(other[1])
    logs = [math.log(mine[at] / yours[at]) for at in mine if at in yours]
    if not logs:
        return Ranking(one[0], other[0], *place, ratio=math.nan, low=None, high=None, n=0)
    interval = t_interval(logs, scale=1.0)
    low, high = (None, None) if interval.low is None or interval.high is None else (interval.low, interval.high)
    return Ranking(
        one[0],
        other[0],
        *place,
        ratio=math.exp(interval.mean),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        n=interval.n,
    )


def by_round(found: Measurement) -> dict[tuple[str, int], float]:
    """The rate of each round, by session and round; the control's last window belongs to none."""
    return {(w["session"], w["round"]): w["rate"] for w in found.windows if not w["last"]}


def stability(found: Iterable[Ranking]) -> list[Stability]:
    """For each device and pair, in how many modes which is faster; the model that is so more often stands first."""
    pairs: dict[tuple[str, str, str], list[Ranking]] = {}
    for order in found:
        pairs.setdefault((order.device, order.one, order.other), []).append(order)
    return [_first_faster(Stability(one, other, device, tuple(each))) for (device, one, other), each in pairs.items()]


def _first_faster(found: Stability) -> Stability:
    if found.count("faster") >= found.count("slower"):
        return found
    return Stability(found.other, found.one, found.device, tuple(turned(order) for order in found.rankings))


def turned(order: Ranking) -> Ranking:
    """The same order, told of the other model."""
    low, high = (None if order.high is None else 1 / order.high), (None if order.low is None else 1 / order.low)
    place = (order.device, order.mode, order.batch)
    return Ranking(order.other, order.one, *place, ratio=1 / order.ratio, low=low, high=high, n=order.n)


def tidy(found: Iterable[Ranking], labels: Iterable[str] = ()) -> pd.DataFrame:
    """A row an order, with its `verdict`; `one` and `other` are ordered: as the labels given, then as they come."""
    rows = [asdict(order) | {"verdict": order.verdict} for order in found]
    table = pd.DataFrame(rows, columns=[*(item.name for item in fields(Ranking)), "verdict"])
    known = list(dict.fromkeys([*labels, *(name for row in rows for name in (row["one"], row["other"]))]))
    names = pd.CategoricalDtype(known, ordered=True)
    return table.astype({"one": names, "other": names, "low": float, "high": float})
