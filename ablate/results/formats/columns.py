"""The columns of the comparison table: their titles, sources and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablate.results.formats import units
from ablate.results.formats.sheet import Column, Row, Sheet, interval, rows_of

if TYPE_CHECKING:
    import pandas as pd


def _seeds(row: Row) -> str:
    return seeds(row["n"], row["wanted"])


def seeds(n: int, wanted: int) -> str:
    """Return the number of seeds, with the number wanted if some are missing: 3, or 2/3."""
    return str(n or units.MISSING) if n >= wanted else f"{n}/{wanted}"


def _top1(row: Row) -> str:
    return units.measured(row["top1"], row["top1_low"]) if row["n"] else "not measured"


def _difference(row: Row) -> str:
    if row["control"]:
        return "control"
    return units.measured(row["difference"], row["difference_low"], sign=True)


COLUMNS = (
    Column("Variant", ("variant",), lambda row: str(row["variant"]), words=True),
    Column("Params", ("params",), lambda row: units.count(row["params"])),
    Column("MACs", ("macs",), lambda row: units.count(row["macs"]), spare=True),
    Column("Seeds", ("n", "wanted"), _seeds),
    Column("Test top-1 (%)", interval("top1"), _top1),
    Column("Difference (pp)", interval("difference"), _difference),
    Column(
        "Training images/s",
        interval("images_per_s"),
        lambda row: units.measured(row["images_per_s"], row["images_per_s_low"], 0),
        spare=True,
    ),
    Column("Training time", interval("training_s"), lambda row: units.duration(row["training_s"]), spare=True),
)
# Shown if some run kept an average of its weights.
EMA = Column("EMA top-1 (%)", interval("ema_top1"), lambda row: units.measured(row["ema_top1"], row["ema_top1_low"]))
# Shown if `ablate.measure.frames.join` added the measurements of one mode to the summary.
SPEED = (
    Column(
        "Throughput (images/s)",
        ("throughput", "throughput_low", "throughput_high", "speed_mode", "speed_device", "speed_batch"),
        lambda row: units.or_not_measured(row["throughput"]),
    ),
    Column("Memory (MiB)", ("speed_memory_mib",), lambda row: units.or_not_measured(row["speed_memory_mib"])),
)
NOTE = (
    "Mean over seeds ± half the width of the 95 % t interval. One seed has no interval, and neither have seeds that "
    "agree to the last digit. Difference: test top-1 minus that of the control, paired by seed, in percentage points "
    "(pp). Training images/s: the rate during training, on the device of each run."
)


def comparison(summary: pd.DataFrame) -> Sheet:
    """Return the table of a study's variants.

    Args:
        summary: from `ablate.results.table.summarise`, with or without joined speed.
    """
    columns, notes = list(COLUMNS), [NOTE]
    if "ema_top1" in summary and summary["ema_top1"].notna().any():
        columns.insert(5, EMA)
    if "throughput" in summary:
        columns += SPEED
        notes += _where(summary)
    return Sheet(columns, rows(summary), full(summary, columns), notes)


def _where(summary: pd.DataFrame) -> list[str]:
    """Return a note with the device and mode that all speeds share."""
    measured = summary[summary["speed_mode"].notna()]
    return [units.place(*measured.iloc[0][["speed_device", "speed_mode", "speed_batch"]])] if len(measured) else []


def rows(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the summary's rows; `control` marks the first."""
    return [{"control": at == 0} | row for at, row in enumerate(rows_of(summary))]


def full(table: pd.DataFrame, columns: list[Column]) -> pd.DataFrame:
    """Return the sources of every column in full precision; integers stay integers if some are missing."""
    whole = dict.fromkeys(("params", "macs", "n", "wanted"), "Int64")
    return table[[source for column in columns for source in column.sources]].astype(whole)
