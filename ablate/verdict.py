"""Claims judged from the records: supported, contradicted or undecided, by intervals and never by bare means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ablate.claim import Claim, Comparison
from ablate.stats import Interval, t_interval
from ablate.study import Study
from ablate.table import CONSTANT

Decision = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """A claim with its decision; `interval` is of the claim's expression minus its threshold, None without runs."""

    claim: Claim
    decision: Decision
    reason: str
    interval: Interval | None


def judge(study: Study, scale: str, runs: pd.DataFrame) -> list[Verdict]:
    """Every claim of a study, judged on its frame, paired by seed."""
    return [_judge(claim, _values(study, scale, claim, runs)) for claim in study.claims]


def _values(study: Study, scale: str, claim: Claim, runs: pd.DataFrame) -> list[float]:
    """The claim's expression minus its threshold, for each seed that all its variants have.

    What does not depend on the seed (parameters, MACs) gives a single exact value.
    """
    total: pd.Series | float = claim.holds.expression.constant
    exact = all(quantity.column in CONSTANT for quantity in claim.quantities())
    for factor, quantity in claim.holds.expression.terms:
        label = study.variant(quantity, scale).label
        of_variant = runs[runs["variant"] == label].set_index("seed")[quantity.column]
        total = total + factor * (of_variant.iloc[:1].reset_index(drop=True) if exact else of_variant)
    return total.dropna().tolist() if isinstance(total, pd.Series) else []


def _judge(claim: Claim, values: Sequence[float]) -> Verdict:
    if not values:
        return Verdict(claim, "undecided", "not measured: no seed has all the variants it speaks of", None)
    interval = t_interval(values)
    if all(quantity.column in CONSTANT for quantity in claim.quantities()):
        true = interval.mean > 0 if claim.holds.above else interval.mean < 0
        return Verdict(claim, "supported" if true else "contradicted", "exact, no seeds involved", interval)
    if interval.low is None or interval.high is None:
        return Verdict(claim, "undecided", "n = 1: one seed gives no interval", interval)
    shown = interval.mean - claim.holds.expression.constant
    half = _rounded((interval.high - interval.low) / 2)
    reason = f"{shown:.2f} ± {half} (95 % interval, paired by seed, n = {interval.n})"
    decision = _side(claim.holds, interval.low, interval.high)
    if decision == "undecided":
        reason += f"; a difference under {half} from the threshold cannot be told with these seeds"
    return Verdict(claim, decision, reason, interval)


def _rounded(half: float) -> str:
    """Half a width with two decimals; one that would be rounded to nothing is said to be below the last."""
    return f"{half:.2f}" if half >= 0.005 or half == 0 else "<0.01"


def _side(holds: Comparison, low: float, high: float) -> Decision:
    """Which side of zero an interval lies on."""
    if low > 0:
        return "supported" if holds.above else "contradicted"
    if high < 0:
        return "contradicted" if holds.above else "supported"
    return "undecided"
