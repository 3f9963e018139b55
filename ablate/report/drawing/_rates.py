"""How fast a study's variants are: as `ablate bench` measured in one mode on one device, else as its runs saw.

Rates of several devices or modes never share an axis: of several, one is chosen and named below the axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ablate.measure import frames as speed_frames
from ablate.report.drawing import frames

BENCHED = ("throughput", "throughput_low", "throughput_high")
PLACE = ["speed_device", "speed_mode", "speed_batch"]


@dataclass(frozen=True)
class Rate:
    """A column of a study's frame, what to call it, and what to write below the axes."""

    column: str
    title: str
    note: str = ""


SEEN = Rate("images_per_s", "Training images/s, as the runs saw")


def beside(runs: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """A study's frame with what `ablate bench` measured of its variants on one device in one mode.

    That is inference where it was measured of all variants that have runs, and else training; of several the first in
    the alphabet. Where neither was, the frame stays as it is: what the runs saw, they saw of every variant.

    Args:
        measured: from `ablate.measure.frame` with the same study.
    """
    found = speed_frames.at_reference_batch(measured)
    found = found[found["images_per_s"].notna() & found["variant"].isin(_names(runs))]
    variants = found.groupby(["device", "mode"], observed=True)["variant"].nunique()
    places = variants[variants == len(_names(runs))].index
    if places.empty:
        return runs
    device, mode = min(places, key=lambda at: (not at[1].startswith("inference"), at))
    return speed_frames.join(runs, measured, mode, device)


def _names(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in runs["variant"].unique()]


def of(data: pd.DataFrame) -> tuple[pd.DataFrame, Rate]:
    """The frame with measured rates of one device, mode and batch only, and the column to draw."""
    if not frames.has(data, *BENCHED[:1], *PLACE):
        return data, SEEN
    groups = data.dropna(subset=["throughput"]).groupby(PLACE, sort=False, observed=True)
    (device, mode, batch), rows = max(groups, key=lambda group: group[1]["variant"].nunique())
    one = {name: data[name].where(data.index.isin(rows.index)) for name in BENCHED}
    work, *how = str(mode).split(", ")
    note = f"Measured by ablate bench: {device}, {', '.join(how)}, batch {batch:.0f}; bars are the windows' quartiles"
    return data.assign(**one), Rate("throughput", f"{work.capitalize()} images/s", note)
