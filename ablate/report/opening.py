"""The plots at the top of a report, which a switch selects: the first shows the factor that the study varies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from ablate.report.drawing import _series, frames

# The x axis of a plot of accuracy, or of time. The switch has all costs, and the leading design.
COSTS = {
    "accuracy_params": "parameters",
    "accuracy_macs": "MACs",
    "accuracy_throughput": "throughput",
    "accuracy_time": "training time",
}
DESIGNS = {
    "accuracy_patch": "patch size",
    "accuracy_depth": "depth",
    "accuracy_axis": "the factor varied",
    "heatmap": "both axes",
    "differences": "the control",
}
SIZES = {
    "scaling_tokens": "tokens",
    "scaling_depth": "depth",
    "scaling_width": "width",
    "scaling_batch": "batch size",
}
# The figures that report.md shows and that are committed with it; `ablate report` renders the others.
SHOWN = {"accuracy_params", "accuracy_macs", *DESIGNS, "scaling_tokens", "scaling_depth", "scaling_width"}
LINES = {"patch_size": "accuracy_patch", "depth": "accuracy_depth"}


def opening(runs: pd.DataFrame, drawn: Collection[str], *, benchmark_only: bool = False) -> Mapping[str, str]:
    """Return the x axes of the opening plots, by plot; empty if none of them is drawn.

    Args:
        runs: a study's frame.
        drawn: the names of the plots that have something to show.
        benchmark_only: whether the study trains nothing.
    """
    if benchmark_only:
        return {name: words for name, words in SIZES.items() if name in drawn}
    design = leading(runs)
    first = {design: DESIGNS[design]} if design in drawn and design in DESIGNS else {}
    return first | {name: words for name, words in COSTS.items() if name in drawn}


def leading(runs: pd.DataFrame) -> str:
    """Return the plot that shows what a study varies.

    That is a line along the number in which all variants differ; a matrix of two crossed axes; the differences from the
    control if most variants have its number of parameters; and otherwise accuracy against parameters.
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
