"""Frames prepared for drawing: in the study's order, without infinities, one row per variant."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ablate.report.drawing.palette import variants
from ablate.results.table import summarise


def ordered(data: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with `variant` as its only category, ordered, and NaN in place of infinity."""
    if "variant" not in data:
        return pd.DataFrame({"variant": pd.Categorical([])})
    categories = data.select_dtypes("category")
    clean = data.astype({name: categories[name].cat.categories.dtype for name in categories})
    numbers = clean.select_dtypes("number").columns
    clean = clean.assign(**{name: clean[name].replace([np.inf, -np.inf], np.nan) for name in numbers})
    clean["variant"] = pd.Categorical(data["variant"].astype(str), categories=variants(data), ordered=True)
    return clean


def has(data: pd.DataFrame, *columns: str) -> bool:
    """Return whether some row has a value in all of these columns."""
    return all(name in data for name in columns) and bool(data[list(columns)].notna().all(axis=1).any())


def summary(data: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return one row per variant with values in all of these columns: means and 95 % t intervals over seeds."""
    if not has(data, *columns):
        return pd.DataFrame(columns=["variant", *columns])
    means, measured = summarise(data), [name for name in data if str(name).startswith("throughput")]
    if measured:
        each = data.astype({"variant": str}).groupby("variant")[measured].first()
        means = means.join(each, on="variant")
    return means.dropna(subset=list(columns)).reset_index(drop=True)


def at_reference_batch(data: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a speed frame at the reference batch; all rows if the frame has none."""
    return data[data["batch"] == data["reference_batch"]] if "reference_batch" in data else data
