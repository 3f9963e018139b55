"""The comparison table's columns, declared once: what each is called, what it is made of, how it reads.

Tables for people show `title` and `text(row)`; files for machines hold the `sources` in full precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablate.formats import units

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column; `sources` are columns of `ablate.table.summarise`, the first is what it is sorted by."""

    title: str
    sources: tuple[str, ...]
    text: Callable[[Row], str]

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which are aligned to the right."""
        return self.sources[0] != "variant"


def _interval(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _seeds(row: Row) -> str:
    return str(row["n"]) if row["n"] >= row["wanted"] else f"{row['n']}/{row['wanted']}"


def _top1(row: Row) -> str:
    return units.measured(row["top1"], row["top1_low"]) if row["n"] else "not measured"


def _difference(row: Row) -> str:
    if row["control"]:
        return "control"
    return units.measured(row["difference"], row["difference_low"], sign=True)


COLUMNS = (
    Column("Variant", ("variant",), lambda row: str(row["variant"])),
    Column("Params", ("params",), lambda row: units.count(row["params"])),
    Column("MACs", ("macs",), lambda row: units.count(row["macs"])),
    Column("Seeds", ("n", "wanted"), _seeds),
    Column("Test top-1 (%)", _interval("top1"), _top1),
    Column("Difference (points)", _interval("difference"), _difference),
    Column(
        "Training images/s",
        _interval("images_per_s"),
        lambda row: units.measured(row["images_per_s"], row["images_per_s_low"], 0),
    ),
    Column("Training time", _interval("training_s"), lambda row: units.duration(row["training_s"])),
)
NOTE = (
    "Mean over seeds ± half the width of the 95 % t interval; one seed has no interval. "
    "Difference: test top-1 minus the control's, paired by seed. "
    "Training images/s: as seen while training, on the devices the runs had."
)


def rows(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """The summary's rows, each saying whether it is the control's, which is the first."""
    return [
        {"control": at == 0} | {str(name): value for name, value in row.items()}
        for at, row in enumerate(summary.to_dict("records"))
    ]


def cells(summary: pd.DataFrame) -> list[list[str]]:
    """The table as people read it, a list of cells a variant, in the order of `COLUMNS`."""
    return [[column.text(row) for column in COLUMNS] for row in rows(summary)]


def full(summary: pd.DataFrame) -> pd.DataFrame:
    """The table in full precision: the sources of every column; whole numbers stay whole where some are missing."""
    table = summary[[source for column in COLUMNS for source in column.sources]]
    return table.astype(dict.fromkeys(("params", "macs", "n", "wanted"), "Int64"))
