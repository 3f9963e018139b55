"""The plot a report opens with: that of what the study varies."""

from __future__ import annotations

import pytest

from ablate import Scale, Study
from ablate.report.opening import COSTS, DESIGNS, SIZES, leading, opening
from ablate.report.plots import PLOTS
from tests.report.plots.frames import MIXERS, SMALL, frames, of


def one_at_a_time() -> Study:
    axes = {"mixer": [*MIXERS[:2]], "mixup": [0.0, 0.8], "drop": [0.0, 0.1], "lr": [0.001, 0.0003, 0.003]}
    return Study(question="?", axes=axes, scales={"s": Scale(SMALL)})


@pytest.mark.parametrize(
    ("case", "plot"),
    [
        ("fixture", "accuracy_params"),
        ("troubled", "accuracy_params"),
        ("empty", "accuracy_params"),
        ("depths", "accuracy_depth"),
        ("patches", "accuracy_patch"),
        ("rates", "accuracy_axis"),
        ("thirty", "accuracy_axis"),
        ("pieces", "heatmap"),
    ],
)
def test_the_plot_of_what_is_varied_leads(case: str, plot: str) -> None:
    assert leading(frames(case)["runs"]) == plot


def test_many_changes_at_the_control_s_cost_are_shown_as_differences() -> None:
    assert leading(of(one_at_a_time())["runs"]) == "differences"


def test_only_what_is_drawn_is_shown() -> None:
    runs = frames("depths")["runs"]
    assert list(opening(runs, {"accuracy_depth", "accuracy_macs", "heatmap"})) == ["accuracy_depth", "accuracy_macs"]
    assert list(opening(runs, {"accuracy_params"})) == ["accuracy_params"]
    assert opening(runs, set()) == {}


def test_every_name_is_a_plot() -> None:
    assert {*COSTS, *DESIGNS, *SIZES} <= set(PLOTS)
