"""The throughput of a study's variants: as measured by `ablate bench`, otherwise the training rate of its runs.

Rates of several devices or modes never share an axis: one of them is chosen and named below the axes.
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
    """A column of a study's frame, the title of its axis, and a note below the axes."""

    column: str
    title: str
    note: str = ""


TRAINING = Rate("images_per_s", "Training images/s, during the runs")


def add_measured(runs: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return a study's frame with the speeds that `ablate bench` measured on one device in one mode.

    The mode must have a measurement of every variant with runs. Inference comes before training, then alphabetical
    order decides. Without such a mode, the frame is returned unchanged: every run has its training rate.

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
    """Return the frame with the rates of one device, mode and batch size only, and the column to draw."""
    if not frames.has(data, *BENCHED[:1], *PLACE):
        return data, TRAINING
    groups = data.dropna(subset=["throughput"]).groupby(PLACE, sort=False, observed=True)
    (device, mode, batch), rows = max(groups, key=lambda group: group[1]["variant"].nunique())
    one = {name: data[name].where(data.index.isin(rows.index)) for name in BENCHED}
    work, *how = str(mode).split(", ")
    note = f"Measured by ablate bench: {device}, {', '.join(how)}, batch {batch:.0f}; bars: quartiles of the windows"
    return data.assign(**one), Rate("throughput", f"{work.capitalize()} images/s", note)
