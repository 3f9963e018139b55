"""Claims judged from the records: supported, contradicted or undecided, by intervals and never by bare means.

Each claim is judged on its own, at 95 %: of twenty claims about a zero effect, one is expected to be decided. p values
that account for all variants of a study are Holm's, see `ablate.results.contrasts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ablate.measure import frames as speed_frames
from ablate.results import speed_claims
from ablate.results.speed_claims import Place
from ablate.results.stats import MANY_SEEDS, Interval, detectable, seeds_needed, t_interval
from ablate.results.table import CONSTANT, frame, sizes
from ablate.store.root import Root
from ablate.study.claims import Claim, Inequality
from ablate.study.load import as_study
from ablate.study.study import Study

Decision = Literal["supported", "contradicted", "undecided"]
POINTS = ("top1", "top5")
MINUS = "\N{MINUS SIGN}"
SPEED = ("throughput", "exponent")  # measured by `ablate bench`, not by training


@dataclass(frozen=True)
class Verdict:
    """A claim with its decision; `interval` is that of its expression minus its threshold, None if not measured."""

    claim: Claim
    decision: Decision
    reason: str
    interval: Interval | None

    def content(self) -> dict[str, Any]:
        """Return the verdict for JSON; mean, low and high are of the expression itself, as in the reason."""
        one, threshold = self.interval, 0 - self.claim.holds.expression.constant
        ends = (None, None, None) if one is None else (one.mean, one.low, one.high)
        numbers = {"threshold": threshold, "n": one and one.n}
        numbers |= {k: v if v is None else v + threshold for k, v in zip(("mean", "low", "high"), ends, strict=True)}
        named = {"claim": self.claim.sentence, "holds": str(self.claim.holds)}
        return {**named, "decision": self.decision, "reason": self.reason, **numbers}


def judge(
    study: Study | str | Path,
    scale: str | None = None,
    runs: pd.DataFrame | None = None,
    results: Path | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
) -> list[Verdict]:
    """Judge every claim of a study at a scale, paired by seed; a claim about speed by its measurements.

    Args:
        study: a study, its name or the path of its file.
        scale: of the study; None is its first.
        runs: from `ablate.frame` with the study; None reads them, and the speeds, from the records under the root.
        results: the folder with `speed/`, for given runs; None if there is none.
        seeds: the first N seeds, where the runs are read; None is the study's number.
        root: the folder with `results/`; None is ABLATE_ROOT or the current folder.

    Raises:
        SpecError: for an unknown study or scale.
    """
    study = as_study(study)
    scale = study.scale(scale)
    if runs is None:
        runs, results = frame(study, scale, seeds=seeds, root=root), Root.at(root).results
    return [_judge_one(study, scale, claim, runs, results) for claim in study.claims_at(scale)]


def _judge_one(study: Study, scale: str, claim: Claim, runs: pd.DataFrame, results: Path | None) -> Verdict:
    columns = {quantity.column for quantity in claim.quantities()}
    if not columns & set(SPEED):
        return _judge(claim, *_values(study, scale, claim, runs))
    if len(columns) > 1:
        return Verdict(
            claim,
            "undecided",
            "it combines speed, which is measured in modes, with results over seeds; split it into two claims",
            None,
        )
    return _over_modes(claim, {} if results is None else _speeds(study, scale, claim, results))


def _values(study: Study, scale: str, claim: Claim, runs: pd.DataFrame) -> tuple[list[float], float]:
    """Return the claim's expression minus its threshold for each shared seed, and the magnitude of its terms.

    A claim about parameters or MACs alone does not depend on the seed: it has a single exact value and needs no run.
    """
    terms = [(f, quantity, study.variant(quantity, scale)) for f, quantity in claim.holds.expression.terms]
    known = sizes(runs, [variant for _, quantity, variant in terms if quantity.column in CONSTANT])
    total: pd.Series | float = claim.holds.expression.constant
    size = abs(claim.holds.expression.constant)
    for factor, quantity, variant in terms:
        if quantity.column in CONSTANT:
            value: pd.Series | float = float(known[quantity.column][variant.label])
        else:
            value = runs[runs["variant"] == variant.label].set_index("seed")[quantity.column].dropna()
        total = total + factor * value
        size = max(size, abs(factor) * float(np.max(np.abs(np.asarray(value)), initial=0)))
    return pd.Series(total).dropna().tolist(), size


def _exact(claim: Claim) -> bool:
    return all(quantity.column in CONSTANT for quantity in claim.quantities())


def _judge(claim: Claim, values: Sequence[float], size: float) -> Verdict:
    if not values:
        return Verdict(claim, "undecided", "not measured: no seed has a run of every variant in the claim", None)
    interval = t_interval(values, scale=size)
    if _exact(claim):
        true = interval.mean > 0 if claim.holds.above else interval.mean < 0
        return Verdict(
            claim, "supported" if true else "contradicted", "exact: it does not depend on the seed", interval
        )
    if interval.half is None:
        same = (
            f"n = {interval.n}: all seeds give the same value, so there is no interval; a larger test set may give one"
        )
        return Verdict(claim, "undecided", _ONE_SEED if interval.n == 1 else same, interval)
    decision = _side(claim.holds, interval)
    pairs = ", paired by seed" if len(claim.quantities()) > 1 else ""
    reason = f"{_shown(claim, interval)} (95 % interval{pairs}, n = {interval.n})"
    if decision == "undecided":
        reason += f"; {_would_decide(interval, values, _unit(claim))}"
    return Verdict(claim, decision, reason, interval)


_ONE_SEED = "n = 1: one seed gives no interval; train two or more"


def _unit(claim: Claim) -> str:
    return " pp" if all(quantity.column in POINTS for quantity in claim.quantities()) else ""


def _would_decide(interval: Interval, values: Sequence[float], unit: str) -> str:
    """Return the minimum detectable effect, and the number of seeds that would decide the claim."""
    sd = float(np.std(values, ddof=1))
    least, needed = detectable(sd, interval.n), seeds_needed(interval.mean, sd)
    seeds = f"over {MANY_SEEDS:,}" if needed is None else f"about {max(needed, interval.n + 1)}"
    return (
        f"{abs(interval.mean):.2f}{unit} from the threshold; minimum detectable effect with {interval.n} seeds: "
        f"{least:.2f}{unit}; seeds needed: {seeds}, if the observed effect is the true one"
    )


def _shown(claim: Claim, interval: Interval) -> str:
    """Return the expression's value, without its threshold, ± half of its interval."""
    mean, half = interval.mean - claim.holds.expression.constant, interval.half
    return f"{mean:.2f}".replace("-", MINUS) + ("" if half is None else f" ± {_rounded(half)}")


def _rounded(half: float) -> str:
    """Return half a width with two decimals; "<0.01" if it would be rounded to zero."""
    return f"{half:.2f}" if half >= 0.005 else "<0.01"


def _side(holds: Inequality, interval: Interval) -> Decision:
    """Return the decision by the side of zero that the interval is on."""
    if interval.low is not None and interval.low > 0:
        return "supported" if holds.above else "contradicted"
    if interval.high is not None and interval.high < 0:
        return "contradicted" if holds.above else "supported"
    return "undecided"


def _speeds(study: Study, scale: str, claim: Claim, results: Path) -> Mapping[Place, Interval]:
    """Return the claim's expression minus its threshold, for each device and mode."""
    expression = claim.holds.expression
    terms = [(factor, quantity, study.variant(quantity, scale)) for factor, quantity in expression.terms]
    found = speed_frames.of_study(results, study, scale)
    if claim.quantities()[0].column == "throughput":
        return speed_claims.throughput([(f, v.label) for f, _, v in terms], expression.constant, found)
    table = speed_frames.tidy(found)
    return speed_claims.exponents([(f, v.run, q.over) for f, q, v in terms], expression.constant, table)


def _over_modes(claim: Claim, found: Mapping[Place, Interval]) -> Verdict:
    """Judge a claim about speed: it is decided if all modes on all devices agree."""
    if not found:
        return Verdict(
            claim, "undecided", "not measured: no mode has every variant in the claim; run ablate bench", None
        )
    sides = {place: _side(claim.holds, interval) for place, interval in found.items()}
    counted = Counter(sides.values())
    decision: Decision = next(iter(counted)) if len(counted) == 1 else "undecided"
    parts = [f"{word} in {counted[side]}" for side, word in _WORDS.items() if counted[side]]
    (place, interval), *more = found.items()
    device, mode, _ = place
    where = f"{len(sides)} modes" if more else f"one mode ({device}; {mode})"
    reason = (
        f"{_shown(claim, interval)} in {where}, n = {interval.n}" if not more else f"of {where}, {', '.join(parts)}"
    )
    return Verdict(claim, decision, reason, None if more else interval)


_WORDS: Mapping[Decision, str] = {"supported": "it holds", "contradicted": "it fails", "undecided": "it is undecided"}
