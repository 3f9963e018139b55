"""The value of a claim about speed in each measured mode: its expression, with an interval.

A claim about speed is supported if it holds in every mode; `ablate.results.verdict` counts the modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ablate.measure.frames import Measured
from ablate.measure.protocol import Mode
from ablate.measure.record import Measurement
from ablate.model.cost import inputs
from ablate.results.ranking import by_round
from ablate.results.scaling import Curve, Slope, curves
from ablate.results.stats import LEVEL, Interval, t_interval
from ablate.spec.run import Run

Place = tuple[str, str, int | None]  # device, mode, batch


def throughput(terms: Sequence[tuple[float, str]], constant: float, found: Iterable[Measured]) -> dict[Place, Interval]:
    """Return a linear expression of rates by round, for each device and mode, at the reference batch.

    Of several measurements of a variant on one device in one mode, the newest counts.

    Args:
        terms: factors, each with a variant's label.
        constant: added to the sum.
        found: the measurements of a study, from `ablate.measure.of_study`.
    """
    places: dict[Place, dict[str, Measurement]] = {}
    for one in sorted(found, key=lambda one: one.found.begun):
        if one.found.batch == one.found.reference_batch and one.found.windows:
            place = one.device, Mode(**one.found.mode).words, one.found.batch
            places.setdefault(place, {})[one.variant] = one.found
    values = {place: _rates(terms, constant, members) for place, members in places.items()}
    return {place: interval for place, interval in values.items() if interval is not None}


def _rates(terms: Sequence[tuple[float, str]], constant: float, members: Mapping[str, Measurement]) -> Interval | None:
    """Return the expression's interval over the rounds that all its variants share; None if one was not measured."""
    if any(label not in members for _, label in terms):
        return None
    rounds = [(factor, by_round(members[label])) for factor, label in terms]
    shared = [at for at in rounds[0][1] if all(at in rates for _, rates in rounds)]
    values = [sum(factor * rates[at] for factor, rates in rounds) + constant for at in shared]
    return t_interval(values, scale=max(rate for _, rates in rounds for rate in rates.values())) if values else None


def exponents(terms: Sequence[tuple[float, Run, str]], constant: float, table: pd.DataFrame) -> dict[Place, Interval]:
    """Return a linear expression of exponents of time, for each device and mode; each exponent has its own error.

    Args:
        terms: factors, each with a variant's run and the size that its exponent is over.
        constant: added to the sum.
        table: from `ablate.measure.frame`.

    Raises:
        SpecError: for an unknown size.
    """
    lines = [_lines(run, curves(table, over)) for _, run, over in terms]
    places = [place for place in lines[0] if all(place in line for line in lines)] if lines else []
    factors = [factor for factor, _, _ in terms]
    return {place: _slopes(factors, [line[place] for line in lines], constant) for place in places}


def _lines(run: Run, found: Iterable[Curve]) -> dict[Place, Slope]:
    """Return the slopes of one model, by device, mode and batch size."""
    values, shown = run.to_dict(), inputs(run.dataset)
    mine = [
        curve
        for curve in found
        if curve.inputs == shown and all(values[name] == value for name, value in curve.shape.items())
    ]
    return {(curve.device, curve.mode, curve.batch): curve.time for curve in mine}


def _slopes(factors: Sequence[float], slopes: Sequence[Slope], constant: float) -> Interval:
    """Return a sum of independent slopes, with Welch-Satterthwaite degrees of freedom."""
    value = sum(factor * slope.exponent for factor, slope in zip(factors, slopes, strict=True)) + constant
    n = min(slope.n for slope in slopes)
    errors = [slope.error for slope in slopes]
    parts = np.array([(f * e) ** 2 for f, e in zip(factors, errors, strict=True) if e is not None])
    if None in errors or not parts.sum():
        return Interval(value, n, None, None)
    freedom = parts.sum() ** 2 / sum(part**2 / (slope.n - 2) for part, slope in zip(parts, slopes, strict=True))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(parts.sum()))
    return Interval(value, n, value - half, value + half)
