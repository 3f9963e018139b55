"""The statistics of a study as tables: over seeds, and picture by picture."""

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
    return f">{MANY_SEEDS:,}" if units.missing(row["needed"]) else f"{row['needed']:.0f}"


def _alone(row: Row) -> str:
    if units.missing(row["only_variant"]):
        return units.MISSING
    return f"{row['only_variant']:,.0f} : {row['only_control']:,.0f}"


_SEEDS = (
    _VARIANT,
    Column("Pairs", ("n",), lambda row: str(row["n"])),
    _difference("difference", "Paired by seed (points)"),
    Column("p", ("p",), lambda row: units.p_value(row["p"]), spare=True),
    Column("p, Holm", ("p_holm",), lambda row: units.p_value(row["p_holm"])),
    _difference("welch", "Welch (points)", spare=True),
    Column("Could have shown", ("detectable", "sd"), lambda row: units.measured(row["detectable"], float("nan"))),
    Column("Pairs for 1 point", ("needed",), _needed),
)
_PICTURES = (
    _VARIANT,
    Column("Seed", ("seed",), lambda row: str(row["seed"])),
    Column("Pictures", ("n",), lambda row: row["why"] or units.exact(row["n"])),
    Column("Right alone", ("only_variant", "only_control"), _alone),
    Column("Difference (points)", interval("difference"), lambda row: units.ends(row, "difference")),
    Column("p, McNemar", ("p",), lambda row: units.p_value(row["p"])),
)


def over_seeds(table: pd.DataFrame, control: str) -> Sheet:
    """The table of `ablate.results.contrasts.over_seeds`."""
    notes = (
        f"Test top-1 minus that of the control, {control}, ± half the width of the 95 % interval. Paired: Student's t "
        "over differences of one seed, which verdicts rest on; exact for any two variances where differences are "
        "normal. Welch: the seeds taken as unrelated.",
        f"p is of the paired t test, two-sided; Holm's holds the chance of any false one among {len(table)} variants.",
        "Could have shown: the smallest true difference that so many pairs show with a power of 80 %; pairs for 1 "
        "point: how many show one point with that power. Both rest on the spread seen, which few seeds know badly.",
    )
    return _sheet(_SEEDS, table, notes)


def over_pictures(table: pd.DataFrame, control: str) -> Sheet:
    """The table of `ablate.results.contrasts.over_pictures`."""
    notes = (
        f"A row compares one pair of trained models, the variant's and the control's ({control}) of one seed, on "
        "the same test pictures. It tells of this pair of trained models, not of the method: other seeds, other pairs.",
        "Right alone: pictures that only the variant, and that only the control, got right. Difference of top-1 with "
        "its 95 % interval by the paired bootstrap over pictures (10,000 resamples); p of McNemar's exact test, "
        "two-sided.",
    )
    return _sheet(_PICTURES, table, notes)


def _sheet(columns: tuple[Column, ...], table: pd.DataFrame, notes: tuple[str, ...]) -> Sheet:
    sources = [source for column in columns for source in column.sources]
    return Sheet(columns, rows_of(table), table[sources], notes)
