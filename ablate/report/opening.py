"""The plots a report opens with, of which a switch shows one: first the one that shows what the study varies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from ablate.report.drawing import _series, frames

# What a plot shows accuracy, or else time, against. A switch holds all costs, of the designs the leading one.
COSTS = {
    "accuracy_params": "parameters",
    "accuracy_macs": "MACs",
    "accuracy_throughput": "throughput",
    "accuracy_time": "training time",
}
DESIGNS = {
    "accuracy_patch": "patch size",
    "accuracy_depth": "depth",
    "accuracy_axis": "what is varied",
    "heatmap": "both axes",
    "differences": "the control",
}
SIZES = {
    "scaling_tokens": "tokens",
    "scaling_depth": "depth",
    "scaling_width": "width",
    "scaling_batch": "batch size",
}
# The figures that report.md shows, and that are kept with it; all others are files that `ablate report` renders.
SHOWN = {"accuracy_params", "accuracy_macs", *DESIGNS, "scaling_tokens", "scaling_depth", "scaling_width"}
LINES = {"patch_size": "accuracy_patch", "depth": "accuracy_depth"}


def opening(runs: pd.DataFrame, drawn: Collection[str], *, benchmark_only: bool = False) -> Mapping[str, str]:
    """What the opening plots show accuracy, or else time, against, by their names; empty where none of them is drawn.

    Args:
        runs: a study's frame.
        drawn: names of the plots that have something to show.
        benchmark_only: whether the study trains nothing.
    """
    if benchmark_only:
        return {name: words for name, words in SIZES.items() if name in drawn}
    design = leading(runs)
    first = {design: DESIGNS[design]} if design in drawn and design in DESIGNS else {}
    return first | {name: words for name, words in COSTS.items() if name in drawn}


def leading(runs: pd.DataFrame) -> str:
    """The plot that shows what a study varies.

    A line along the number that all variants differ in, a table of two crossed axes, the differences to the control
    where most variants cost what it costs, and otherwise accuracy against parameters.
    """
    data = frames.ordered(runs)
    if not frames.has(data, "top1", "params"):
        return "accuracy_params"
    data = data.dropna(subset=["top1"])
    field = _series.axis(data)
    if field is not None:
        return LINES.get(field, "accuracy_axis")
    if _series.crossed(data) is not None:
        return "heatmap"
    params = data.groupby("variant", observed=True)["params"].first()
    return "differences" if (params.iloc[1:] == params.iloc[0]).mean() > 0.5 else "accuracy_params"
