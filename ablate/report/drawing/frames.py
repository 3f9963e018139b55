"""Frames made fit to be drawn: in the study's order, without infinities, a row a variant."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ablate.report.drawing.palette import variants
from ablate.results.table import summarise


def ordered(data: pd.DataFrame) -> pd.DataFrame:
    """The frame with `variant` as its one category, ordered, and NaN for what is infinite."""
    if "variant" not in data:
        return pd.DataFrame({"variant": pd.Categorical([])})
    categories = data.select_dtypes("category")
    clean = data.astype({name: categories[name].cat.categories.dtype for name in categories})
    numbers = clean.select_dtypes("number").columns
    clean = clean.assign(**{name: clean[name].replace([np.inf, -np.inf], np.nan) for name in numbers})
    clean["variant"] = pd.Categorical(data["variant"].astype(str), categories=variants(data), ordered=True)
    return clean


def has(data: pd.DataFrame, *columns: str) -> bool:
    """Whether some row has a value in every one of these columns."""
    return all(name in data for name in columns) and bool(data[list(columns)].notna().all(axis=1).any())


def summary(data: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """A row per variant that has a value in every one of these columns: means and 95 % t intervals over seeds."""
    if not has(data, *columns):
        return pd.DataFrame(columns=["variant", *columns])
    means, measured = summarise(data), [name for name in data if str(name).startswith("throughput")]
    if measured:
        each = data.astype({"variant": str}).groupby("variant")[measured].first()
        means = means.join(each, on="variant")
    return means.dropna(subset=list(columns)).reset_index(drop=True)


def at_reference_batch(data: pd.DataFrame) -> pd.DataFrame:
    """The rows of a frame of speeds at the batch size that all models of a session share; all where none is named."""
    return data[data["batch"] == data["reference_batch"]] if "reference_batch" in data else data
