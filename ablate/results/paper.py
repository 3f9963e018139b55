"""The paper's table 1 and its section 3.4 (arXiv 2105.02723): published results, costs, and measured results.

Parameters and MACs come from formulas and are always available. Runs are those of the study `paper` if it exists,
otherwise any with the paper's model under DeiT's recipe. Speed is joined by architecture, from one device and mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablate.dispatch.evidence import fingerprints
from ablate.model.cost import complexity
from ablate.results.published import Published, find
from ablate.results.stats import t_interval
from ablate.spec.recipes import DEIT, FAMILY, PAPER
from ablate.spec.run import SHAPING, Run
from ablate.study.study import Study

NAME = "paper"
SCALE = "imagenet"

# Dropout rates belong to the recipe: the paper's text and its README differ in them, and the model is the same.
_SHAPE = sorted(SHAPING - {"drop", "drop_path"})


@dataclass(frozen=True)
class Entry:
    """One row as the paper prints it.

    Args:
        group: size and patch.
        model: its name in the paper.
        fields: the fields of `Run` that define the model.
        published: its name in `published.csv`; None if the paper prints a dash.
        trained: whether its recipe can be run here.
        counted: a note on how its parameters are counted here.
    """

    group: str
    model: str
    fields: Mapping[str, Any]
    published: str | None
    trained: bool = True
    counted: str = ""

    @property
    def run(self) -> Run:
        """Return the model under DeiT's recipe."""
        return Run(**{**DEIT, **self.fields})

    @property
    def architecture(self) -> str:
        """Return the architecture that `ablate bench --models paper` measures: the model without dropout."""
        return Run(**self.fields).architecture


_POSITIONS = (
    "counted with one position embedding per patch of the 7×7 grid, 206,213,048 in total; the released code stores a "
    "14×14 map and interpolates it, 206,363,576 in total"
)
_LARGE_32 = {**FAMILY["ablate_large"], "patch_size": 32}
ENTRIES = (
    Entry("Tiny P=16", "ViT", FAMILY["ablate_tiny"], None, trained=False),
    Entry("Tiny P=16", "DeiT", FAMILY["ablate_tiny"], "deit DeiT-Tiny/16"),
    Entry("Tiny P=16", "FF only", PAPER["linear_tiny"], "paper FF-Tiny/16"),
    Entry("Base P=16", "ViT", FAMILY["ablate_base"], "paper ViT-Base/16 as printed", trained=False),
    Entry("Base P=16", "DeiT", FAMILY["ablate_base"], "paper DeiT-Base/16 as printed"),
    Entry("Base P=16", "FF only", PAPER["linear_base"], "paper FF-Base/16"),
    Entry("Large P=32", "ViT", _LARGE_32, "paper ViT-Large/32 as printed", trained=False),
    Entry("Large P=32", "DeiT", _LARGE_32, None),
    Entry("Large P=32", "FF only", PAPER["linear_large"], "paper FF-Large/32", counted=_POSITIONS),
    Entry("§3.4, Tiny", "Attention only", PAPER["attention_only_tiny"], "paper Attention-only Tiny/16"),
)


def table(runs: pd.DataFrame, speed: pd.DataFrame, study: Study | None = None) -> pd.DataFrame:
    """Return one row per entry, in the paper's order.

    Args:
        runs: all records, from `ablate.frame`.
        speed: all measurements of speed, from `ablate.measure.frame`.
        study: the study `paper`, if it exists.

    Returns:
        `group`, `model`; `published` top-1 with its `status`, `note`, `source`, `image_size`, `epochs`; `params`, with
        a note in `counted`, `macs`; measured `top1` with `_low` and `_high`, `n`, `wanted`;
        `difference` measured - published; and `images_per_s`, `memory_mib` with `device`, `mode`, `batch`. NaN or ""
        if missing.
    """
    place = _place(speed)
    rows = [_row(entry, runs, study) | _speed(entry, place) for entry in ENTRIES]
    return pd.DataFrame(rows)


def _row(entry: Entry, runs: pd.DataFrame, study: Study | None) -> dict[str, Any]:
    run, wanted = _wanted(entry, study)
    costs = complexity(run, 3, 1000)
    published = find(entry.published) if entry.published else None
    return {
        "group": entry.group,
        "model": entry.model,
        **_published(published),
        "params": costs["params"],
        "counted": entry.counted,
        "macs": costs["macs"],
        **_measured(_top1(run, runs, wanted) if entry.trained else [], wanted, published),
    }


def _published(found: Published | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("published", "image_size", "epochs"), np.nan) | dict.fromkeys(_WORDS, "")
    numbers = {"published": found.top1, "image_size": found.image_size, "epochs": found.epochs}
    return numbers | {name: getattr(found, name) for name in _WORDS}


_WORDS = ("status", "note", "source", "where")


def _wanted(entry: Entry, study: Study | None) -> tuple[Run, int | None]:
    """Return the run whose records count, and its number of seeds; those of the study if it has this model."""
    if study is not None and SCALE in study.scales and entry.trained:
        for variant in study.variants(SCALE):
            if _shape(variant.run) == _shape(entry.run):
                return variant.run, study.seed_count(SCALE)
    return entry.run, None


def _shape(run: Run) -> tuple[Any, ...]:
    return tuple(run.to_dict()[name] for name in _SHAPE)


def _top1(run: Run, runs: pd.DataFrame, wanted: int | None) -> list[float]:
    """Return the top-1 of the records of a run on the present data, for the wanted seeds; None is all."""
    if runs.empty:
        return []
    candidates = runs[runs["dataset"] == run.dataset]
    if wanted is not None:
        candidates = candidates[candidates["seed"] < wanted]
    present = fingerprints([run.dataset])[run.dataset]
    if present is not None:
        candidates = candidates[candidates["fingerprint"] == present]
    keys = run.keys(candidates["seed"].astype(int))
    return [float(value) for value in candidates["top1"][candidates["key"].to_numpy() == np.array(keys, dtype=object)]]


def _measured(values: Sequence[float], wanted: int | None, published: Published | None) -> dict[str, Any]:
    found = t_interval(values) if values else None
    mean = np.nan if found is None else found.mean
    ends = (np.nan, np.nan) if found is None or found.low is None or found.high is None else (found.low, found.high)
    return {
        "top1": mean,
        "top1_low": ends[0],
        "top1_high": ends[1],
        "n": len(values),
        "wanted": len(values) if wanted is None else wanted,
        "difference": np.nan if published is None else mean - published.top1,
    }


def _place(speed: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements of the device, mode and reference batch that cover most of the paper's models.

    Numbers of two devices or modes in one column would be read as a ranking, which they are not.
    """
    models = {entry.architecture for entry in ENTRIES}
    usable = speed[
        speed["architecture"].isin(models)
        & (speed["batch"] == speed["reference_batch"])
        & (speed["channels"] == 3)
        & (speed["classes"] == 1000)
    ]
    places = usable.groupby(["device", "mode", "batch"])["architecture"].nunique()
    if places.empty:
        return usable
    most = places[places == places.max()].index[0]
    return usable[(usable[["device", "mode", "batch"]] == list(most)).all(axis=1)]


def _speed(entry: Entry, place: pd.DataFrame) -> dict[str, Any]:
    found = place[place["architecture"] == entry.architecture]
    if found.empty:
        return dict.fromkeys(("images_per_s", "memory_mib"), np.nan) | {"device": "", "mode": "", "batch": np.nan}
    row = found.iloc[0]
    return {name: row[name] for name in ("images_per_s", "memory_mib", "device", "mode", "batch")}
