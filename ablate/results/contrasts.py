"""Each variant compared with the control: over seeds, with the minimum detectable effect; and over test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ablate.results.per_image import compare, outcomes
from ablate.results.stats import Difference, detectable, holm, paired, seeds_needed, welch
from ablate.spec.seeds import derive
from ablate.store.records import Record

EFFECT = 1.0  # the difference, in percentage points, that `seeds_needed` is for

_ENDS = ("", "_low", "_high")
SEEDS = (
    *("variant", "n", *(f"difference{end}" for end in _ENDS), "p", *(f"welch{end}" for end in _ENDS)),
    *("sd", "detectable", "seeds_needed", "p_holm"),
)
_OF_A_PAIR = ("n", "only_variant", "only_control", *(f"difference{end}" for end in _ENDS), "p")
IMAGES = ("variant", "seed", *_OF_A_PAIR, "why")


def over_seeds(runs: pd.DataFrame, column: str = "top1") -> pd.DataFrame:
    """Return one row per variant except the control, in the study's order.

    Args:
        runs: from `ablate.frame` with a study.
        column: the measure to compare.

    Returns:
        `n`, the number of seeds that both variants have; `difference` from the control with its paired t interval
        (`_low`, `_high`) and two-sided `p`; `p_holm`, adjusted over these variants; `welch`, the difference of the
        means over all seeds, with Welch's interval; `sd` of the paired differences; `detectable`, the minimum
        detectable effect at a power of 80 %; `seeds_needed` to detect 1 percentage point. NaN where undefined.
    """
    control, *variants = runs["variant"].cat.categories
    by_seed = {name: runs[runs["variant"] == name].set_index("seed")[column].dropna() for name in (control, *variants)}
    rows = [_contrast(str(name), by_seed[name], by_seed[control]) for name in variants]
    adjusted = holm([None if np.isnan(row["p"]) else row["p"] for row in rows])
    for row, value in zip(rows, adjusted, strict=True):
        row["p_holm"] = np.nan if value is None else value
    return pd.DataFrame(rows, columns=list(SEEDS))


def _contrast(variant: str, mine: pd.Series[float], control: pd.Series[float]) -> dict[str, Any]:
    shared = mine.index.intersection(control.index)
    by_pair = paired(mine[shared].tolist(), control[shared].tolist()) if len(shared) else None
    apart = welch(mine.tolist(), control.tolist()) if len(mine) and len(control) else None
    sd, least, needed = np.nan, np.nan, None
    if by_pair is not None and by_pair.p is not None:
        sd = float((mine[shared] - control[shared]).std(ddof=1))
        least, needed = detectable(sd, len(shared)), seeds_needed(EFFECT, sd)
    return {
        "variant": variant,
        "n": len(shared),
        **_interval("difference", by_pair),
        "p": np.nan if by_pair is None or by_pair.p is None else by_pair.p,
        **_interval("welch", apart),
        "sd": sd,
        "detectable": least,
        "seeds_needed": np.nan if needed is None else needed,
    }


def _interval(name: str, found: Difference | None) -> dict[str, float]:
    """Return a difference and the ends of its interval, under a name."""
    interval = None if found is None else found.interval
    mean = np.nan if interval is None else interval.mean
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    ends = [np.nan if end is None else end for end in (low, high)]
    return {name: mean, f"{name}_low": ends[0], f"{name}_high": ends[1]}


def over_images(found: Sequence[tuple[str, Record]], control: str) -> pd.DataFrame:
    """Return one row per variant except the control and per shared seed: two trained models, image by image.

    Args:
        found: the records, each with its variant's label.
        control: the control's label.

    Returns:
        `variant`, `seed`, `n` images; `only_variant` and `only_control`, the discordant images: those that only one
        model classified correctly; `difference` in percentage points with its 95 % paired bootstrap interval; `p` of
        McNemar's exact test; `why` the two cannot be compared, "" if they can.
    """
    controls = {record.run["seed"]: record for label, record in found if label == control}
    pairs = [(label, record, controls.get(record.run["seed"])) for label, record in found if label != control]
    rows = [_images(label, mine, other) for label, mine, other in pairs if other is not None]
    return pd.DataFrame(rows, columns=list(IMAGES))


def _images(label: str, mine: Record, control: Record) -> dict[str, Any]:
    head = {"variant": label, "seed": mine.run["seed"]}
    one, other = outcomes(mine.metrics), outcomes(control.metrics)
    if mine.dataset["fingerprint"] != control.dataset["fingerprint"]:
        return {**head, **dict.fromkeys(_OF_A_PAIR), "why": "different data"}
    if one is None or other is None or len(one) != len(other):
        return {**head, **dict.fromkeys(_OF_A_PAIR), "why": "not recorded"}
    # Each pair has its own generator, so that its interval does not depend on the other rows.
    pair = compare(one, other, np.random.default_rng(derive("bootstrap", mine.key, control.key)))
    values = (pair.n, pair.only_one, pair.only_other, pair.difference, pair.low, pair.high, pair.p)
    return {**head, **dict(zip(_OF_A_PAIR, values, strict=True)), "why": ""}
