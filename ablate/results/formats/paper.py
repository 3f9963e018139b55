"""The paper's table, with a mark and a note for every cell that needs one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ablate.results.formats import units
from ablate.results.formats.columns import seeds
from ablate.results.formats.sheet import Column, Row, Sheet, interval, rows_of

MARKS = "†‡§¶‖"
NOTES = ("note", "counted")  # the columns with notes on a cell
NOT_MEASURED = "not measured"
SWAP = (
    "Params and MACs come from formulas for the models of this package, also where the paper prints none. The swap of "
    "attention for a feed-forward layer is neither iso-parameter nor iso-MAC."
)
MEASURED = (
    "Measured: mean test top-1 of the final raw weights over seeds ± half the width of the 95 % t interval. "
    "Gap: measured − published, in percentage points (pp)."
)


def sheet(table: pd.DataFrame) -> Sheet:
    """Return the table of `ablate.results.paper.table`."""
    marks = _marks(table)
    rows = [row | {f"{name}_mark": marks.get(str(row[name]), "") for name in NOTES} for row in rows_of(table)]
    notes = [f"{mark} {note[0].upper()}{note[1:]}." for note, mark in marks.items()]
    return Sheet(_COLUMNS, rows, _full(table), [*notes, SWAP, MEASURED, *_where(table)], group="group", heading=1)


def _marks(table: pd.DataFrame) -> Mapping[str, str]:
    """Return a mark for each note, in order of appearance."""
    notes = list(dict.fromkeys(note for name in NOTES for note in table[name] if note))
    return dict(zip(notes, [*MARKS, *(mark * 2 for mark in MARKS)][: len(notes)], strict=True))


def _published(row: Row) -> str:
    return units.MISSING if units.missing(row["published"]) else f"{row['published']:.1f}{row['note_mark']}"


def _status(row: Row) -> str:
    return str(row["status"]) or units.MISSING


def _measured(row: Row) -> str:
    return units.measured(row["top1"], row["top1_low"]) if row["n"] else NOT_MEASURED


def _difference(row: Row) -> str:
    return units.MISSING if units.missing(row["difference"]) else units.signed(row["difference"], 1) + row["note_mark"]


_COLUMNS = (
    Column("Size", ("group",), lambda row: str(row["group"]), words=True),
    Column("Model", ("model",), lambda row: str(row["model"]), words=True),
    Column("Published top-1 (%)", ("published",), _published),
    Column("Status", ("status",), _status, words=True, spare=True),
    Column("Params", ("params",), lambda row: units.count(row["params"]) + row["counted_mark"]),
    Column("GMACs", ("macs",), lambda row: f"{row['macs'] / 1e9:.2f}", spare=True),
    Column("Measured top-1 (%)", interval("top1"), _measured),
    Column("Seeds", ("n", "wanted"), lambda row: seeds(row["n"], row["wanted"]), spare=True),
    Column("Gap (pp)", ("difference",), _difference),
    Column(
        "Throughput (images/s)", ("images_per_s",), lambda row: units.or_not_measured(row["images_per_s"]), spare=True
    ),
    Column("Memory (MiB)", ("memory_mib",), lambda row: units.or_not_measured(row["memory_mib"]), spare=True),
)


def _where(table: pd.DataFrame) -> list[str]:
    """Return a note with the device and mode that all speeds share."""
    measured = table[table["device"] != ""]
    if measured.empty:
        return []
    row: Any = measured.iloc[0]
    return [units.place(row["device"], row["mode"], row["batch"])]


def _full(table: pd.DataFrame) -> pd.DataFrame:
    whole = dict.fromkeys(("image_size", "epochs", "n", "wanted", "batch"), "Int64")
    return table.astype(whole)
