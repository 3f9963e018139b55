"""The speed section of a report: which variant is faster in how many modes, how time grows, and the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablate.measure.frames import Measured, tidy
from ablate.measure.record import FOLDER
from ablate.results.formats import Sheet, units
from ablate.results.formats.sheet import Column, Row, rows_of
from ablate.results.ranking import rankings, stability
from ablate.results.scaling import curves

NOTES = (
    "Images per second: the median of all windows, with the quartiles in parentheses. A ranking may change with the "
    "device and the mode, so a speed is valid for its mode only. Other batch sizes are in the plots and in the "
    "measurements.",
)


def _rate(row: Row) -> str:
    if units.missing(row["images_per_s"]):
        return str(row["status"])
    low, high = units.exact(row["images_per_s_low"]), units.exact(row["images_per_s_high"])
    return f"{units.exact(row['images_per_s'])} ({low}–{high})"


COLUMNS = (
    Column("Variant", ("variant",), lambda row: str(row["variant"]), words=True),
    Column("Device", ("device",), lambda row: str(row["device"]), words=True),
    Column("Mode", ("mode",), lambda row: str(row["mode"]), words=True),
    Column("Batch", ("batch",), lambda row: str(row["batch"])),
    Column("Images/s", ("images_per_s", "images_per_s_low", "images_per_s_high"), _rate),
    Column("Peak memory (MiB)", ("memory_mib",), lambda row: units.exact(row["memory_mib"])),
)


def at_reference_batch(found: Sequence[Measured]) -> list[Measured]:
    """Return the measurements at the reference batch, which all models and modes of a session share."""
    return [one for one in found if one.found.batch == one.found.reference_batch]


def sheet(found: Sequence[Measured]) -> Sheet:
    """Return the table of measurements, one row each."""
    table = tidy(found)
    return Sheet(COLUMNS, rows_of(table), table, NOTES)


def ranked(found: Sequence[Measured], control: str) -> list[str]:
    """Return one sentence per variant: in how many modes it is faster or slower than the control."""
    return [one.sentence() for one in stability(rankings(found)) if control in (one.one, one.other)]


def grown(table: pd.DataFrame) -> list[str]:
    """Return one sentence per line of three or more sizes: how time and MACs grow."""
    found = [curve for over in ("tokens", "depth", "dim") for curve in curves(table, over)]
    return [curve.sentence() for curve in found if len(curve.sizes) > 2]


def path_of(results: Path, one: Measured) -> Path:
    """Return the file of a measurement."""
    return results / FOLDER / one.folder / one.found.name
