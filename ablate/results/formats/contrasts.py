"""The statistics of a study as tables: over seeds, and over test images."""

from __future__ import annotations

import pandas as pd

from ablate.results.formats import units
from ablate.results.formats.sheet import Column, Row, Sheet, interval, rows_of
from ablate.results.stats import MANY_SEEDS

_VARIANT = Column("Variant", ("variant",), lambda row: str(row["variant"]), words=True)


def _difference(name: str, title: str, *, spare: bool = False) -> Column:
    return Column(title, interval(name), lambda row: units.span(row, name), spare=spare)


def _needed(row: Row) -> str:
    if units.missing(row["detectable"]):
        return units.MISSING
    return f">{MANY_SEEDS:,}" if units.missing(row["seeds_needed"]) else f"{row['seeds_needed']:.0f}"


def _discordant(row: Row) -> str:
    if units.missing(row["only_variant"]):
        return units.MISSING
    return f"{row['only_variant']:,.0f} : {row['only_control']:,.0f}"


_SEEDS = (
    _VARIANT,
    Column("Seeds", ("n",), lambda row: str(row["n"])),
    _difference("difference", "Paired by seed (pp)"),
    Column("p", ("p",), lambda row: units.p_value(row["p"]), spare=True),
    Column("p, Holm", ("p_holm",), lambda row: units.p_value(row["p_holm"])),
    _difference("welch", "Welch (pp)", spare=True),
    Column(
        "Min. detectable effect (pp)", ("detectable", "sd"), lambda row: units.measured(row["detectable"], float("nan"))
    ),
    Column("Seeds needed (1 pp)", ("seeds_needed",), _needed),
)
_IMAGES = (
    _VARIANT,
    Column("Seed", ("seed",), lambda row: str(row["seed"])),
    Column("Images", ("n",), lambda row: row["why"] or units.exact(row["n"])),
    Column("Discordant images", ("only_variant", "only_control"), _discordant),
    Column("Difference (pp)", interval("difference"), lambda row: units.ends(row, "difference")),
    Column("p, McNemar", ("p",), lambda row: units.p_value(row["p"])),
)


def over_seeds(table: pd.DataFrame, control: str) -> Sheet:
    """Return the table of `ablate.results.contrasts.over_seeds`."""
    notes = (
        f"Test top-1 minus that of the control, {control}, in percentage points (pp) ± half the width of the 95 % "
        "interval. Paired by seed: Student's t interval of the differences between runs with the same seed, which the "
        "verdicts use; it is exact for normal differences and any two variances. Welch: without pairing.",
        f"p: two-sided, of the paired t test. p, Holm: adjusted for the family-wise error rate over {len(table)} "
        "variants.",
        "Min. detectable effect: the smallest true difference that this number of seeds detects with a power of 80 %. "
        "Seeds needed: to detect a difference of 1 pp with the same power. Both use the observed spread, which a few "
        "seeds estimate poorly.",
    )
    return _sheet(_SEEDS, table, notes)


def over_images(table: pd.DataFrame, control: str) -> Sheet:
    """Return the table of `ablate.results.contrasts.over_images`."""
    notes = (
        f"One row per pair of trained models: a variant and the control ({control}) with the same seed, on the same "
        "test images. It is a statement about this pair of trained models, not about the method.",
        "Discordant images: those that only the variant, and those that only the control, classified correctly. "
        "Difference: of top-1, with its 95 % interval by the paired bootstrap over images (10,000 resamples). p: "
        "two-sided, of McNemar's exact test.",
    )
    return _sheet(_IMAGES, table, notes)


def _sheet(columns: tuple[Column, ...], table: pd.DataFrame, notes: tuple[str, ...]) -> Sheet:
    sources = [source for column in columns for source in column.sources]
    return Sheet(columns, rows_of(table), table[sources], notes)
