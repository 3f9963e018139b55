"""What a figure shows, as data: everything that is drawn of the numbers, whatever artist draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.drawing import _data, _labels
from tests.report.plots.test_plots import draw, drawn


def shown(axes: Axes) -> dict[str, Any]:
    """The data of a figure's first axes."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return _data.of(figure)[0]


def labels(found: dict[str, Any]) -> list[str]:
    return [line.get("label", "") for line in found["lines"]]


def test_a_scatter_has_its_seeds_means_intervals_front_and_names() -> None:
    found = shown(drawn("accuracy_params", "fixture"))
    assert (found["title"], found["y"]["label"]) == ("Accuracy and size", "Test top-1 (%)")
    assert {"seeds of attention", "attention", "interval", "front"} <= set(labels(found))
    line = found["lines"][labels(found).index("attention")]
    name = next(text for text in found["texts"] if text["text"] == "attention")
    assert name["at"] == [line["x"][0], line["y"][0]]


def test_a_curve_has_its_band() -> None:
    found = shown(drawn("training_loss", "fixture"))
    assert [area["label"] for area in found["areas"]] == [f"seeds of {name}" for name in labels(found)]
    assert len(found["areas"][0]["outlines"][0]) > 2 * len(found["lines"][0]["y"])


def test_a_scaling_plot_has_its_fits_and_exponents() -> None:
    found = shown(drawn("scaling_tokens", "patches"))
    name = next(label for label in labels(found) if label.startswith("fit of ")).removeprefix("fit of ")
    assert name in labels(found)
    assert found["x"]["scale"] == "log"
    assert any(text["text"].startswith(f"{name}\n") and "at" in text for text in found["texts"])


def test_a_matrix_has_its_cells_and_categories() -> None:
    found = shown(drawn("heatmap", "pieces"))
    values = np.array(found["areas"][0]["values"], dtype=float)
    assert values.shape == (len(found["y"]["ticks"]), len(found["x"]["ticks"]))
    assert np.isfinite(values).any()
    assert len(found["texts"]) >= values.size


@pytest.mark.parametrize(
    ("plot", "case"),
    [("accuracy_params", "fixture"), ("accuracy_params", "thirty"), ("scaling_tokens", "patches")],
)
def test_it_is_the_same_before_names_are_placed(plot: str, case: str) -> None:
    with _labels.unplaced():
        found = shown(draw(plot, case))
    assert found == shown(draw(plot, case))


def test_where_names_are_put_is_left_out() -> None:
    axes = drawn("accuracy_params", "fixture")
    before = shown(axes)
    for text in axes.texts:
        text.set_position((17.0, 23.0))
    assert shown(axes) == before


@pytest.mark.parametrize(
    ("add", "where", "wanted"),
    [
        (
            lambda axes: axes.plot([1, 2], [3.0, np.nan], label="a"),
            "lines",
            [{"label": "a", "x": [1, 2], "y": [3.0, None]}],
        ),
        (lambda axes: axes.plot([1], [2]), "lines", [{"x": [1], "y": [2]}]),
        (lambda axes: axes.imshow(np.ma.masked_equal([[1, 0]], 0)), "images", [[[1.0, None]]]),
        (lambda axes: axes.scatter([1.0], [2.0], label="b"), "areas", [{"label": "b", "points": [[1.0, 2.0]]}]),
        (lambda axes: axes.text(1.0, 2.0, "here"), "texts", [{"text": "here", "at": [1.0, 2.0]}]),
        (lambda axes: axes.text(1.0, 2.0, "there", transform=axes.transAxes), "texts", [{"text": "there"}]),
        (lambda axes: (axes.plot([1], label="c"), axes.legend()), "legend", ["c"]),
    ],
)
def test_plots_of_a_user_s_own_are_read_too(add: Any, where: str, wanted: Any) -> None:
    axes = Figure().add_subplot()
    add(axes)
    assert shown(axes)[where] == wanted


def test_bars_and_error_bars() -> None:
    axes = Figure().add_subplot()
    axes.bar(["a", "b"], [2.0, 3.0], yerr=[0.5, 0.25])
    found = shown(axes)
    assert found["x"]["ticks"] == ["a", "b"]
    assert [max(y for _, y in bar["outline"]) for bar in found["bars"]] == [2.0, 3.0]
    assert found["areas"][0]["outlines"][1] == [[1.0, 2.75], [1.0, 3.25]]
