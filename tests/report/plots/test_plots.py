"""Every plot on every kind of frame, on half a page and on a full one: it draws, and its texts are whole and apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import ablate
from ablate.report.drawing import _intervals, _labels, _line_ends, _near_points, _rates, _series, palette, style
from ablate.report.plots import PLOTS
from ablate.results.ranking import PairRanking, tidy
from tests.report.plots.frames import CASES, MODES, frames

pytestmark = pytest.mark.slow

EVERY = pytest.mark.parametrize("plot", PLOTS)
# Plot, case and width: a wide figure has fewer ways to go wrong.
WIDE = ("accuracy_params", "differences", "training_loss", "speed_ranking")
# What sets a case apart concerns some plots only.
ONLY = {
    "rates": ("accuracy_axis", "heatmap"),
    "pieces": ("accuracy_params", "differences", "heatmap"),
    "benched": ("accuracy_throughput", "throughput_depth", "throughput_patch"),
    "beyond": ("accuracy_throughput", "accuracy_depth"),
    "published": ("accuracy_params", "accuracy_macs"),
    # Of plots that write their names in the same way, one is drawn with very many.
    "thirty": (
        "accuracy_params",
        "accuracy_axis",
        "differences",
        "training_loss",
        "heatmap",
        "speed_ranking",
        "scaling_batch",
    ),
    "patches": ("accuracy_patch", "throughput_patch", "heatmap", "scaling_tokens", "memory_tokens", "speed_ranking"),
    "depths": ("accuracy_depth", "throughput_depth", "scaling_depth", "accuracy_macs"),
    "widths": ("accuracy_axis", "scaling_width", "memory_batch", "accuracy_time"),
}
DRAWN = [(plot, case, "half") for case in CASES for plot in ONLY.get(case, PLOTS)]
DRAWN += [(plot, "thirty", "full") for plot in WIDE]
# One plot of each kind of axes.
ALL_KINDS = ("accuracy_params", "heatmap", "training_loss")
# A case in which each plot has something to show.
SHOWN = {
    **dict.fromkeys(PLOTS, "fixture"),
    "accuracy_axis": "rates",
    "accuracy_patch": "patches",
    "throughput_patch": "patches",
    "accuracy_depth": "depths",
    "throughput_depth": "depths",
    "heatmap": "patches",
    "scaling_tokens": "patches",
    "memory_tokens": "patches",
    "scaling_depth": "depths",
    "scaling_width": "widths",
}


def frame_of(plot: str, case: str) -> pd.DataFrame:
    return frames(case)[PLOTS[plot].input]


def draw(plot: str, case: str, width: str = "half") -> Axes:
    """A figure of the caller's own."""
    with style.style():
        axes = PLOTS[plot].draw(frame_of(plot, case), width=style.inches(width))
    assert isinstance(axes, Axes)
    return axes


@cache
def drawn(plot: str, case: str, width: str = "half") -> Axes:
    """A figure that tests share and only look at."""
    return draw(plot, case, width)


def texts(axes: Axes) -> list[Text]:
    """All texts that are seen, on the axes and on its colour bar; of the ticks those within the limits."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    found: list[Text] = []
    for one in figure.axes:
        found += [*one.texts, one.xaxis.label, one.yaxis.label, one.title, one._left_title, one.xaxis.offsetText]
        for axis in (one.xaxis, one.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def box(text: Text) -> Bbox:
    return Text.get_window_extent(text)


@pytest.mark.parametrize(("plot", "case", "width"), DRAWN)
def test_texts_are_whole_and_apart(plot: str, case: str, width: str) -> None:
    axes = drawn(plot, case, width)
    found = texts(axes)
    low, high = axes.get_figure(root=True).bbox.padded(0.5).get_points()
    for text in found:
        assert (box(text).get_points() >= low).all(), text.get_text()
        assert (box(text).get_points() <= high).all(), text.get_text()
    for one, other in combinations(found, 2):
        assert not box(one).padded(-0.8).overlaps(box(other).padded(-0.8)), (one.get_text(), other.get_text())


@EVERY
def test_every_measured_variant_or_mixer_is_named(plot: str) -> None:
    written = " ".join(text.get_text() for text in texts(drawn(plot, SHOWN[plot])))
    for name in ("attention", "patch_ff", "none"):
        assert name in written


@EVERY
def test_a_plot_with_something_to_show_has_data(plot: str) -> None:
    axes = drawn(plot, SHOWN[plot])
    assert axes.has_data()
    assert "not measured" not in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("data", [None, pd.DataFrame()], ids=["no rows", "no columns"])
@EVERY
def test_an_empty_frame_says_so(plot: str, data: pd.DataFrame | None) -> None:
    axes = PLOTS[plot].draw(frame_of(plot, "empty") if data is None else data)
    assert [text.get_text() for text in axes.texts] == ["not measured"]
    assert not axes.has_data()


@pytest.mark.parametrize("plot", ["accuracy_patch", "accuracy_axis", "throughput_depth", "heatmap", "scaling_tokens"])
def test_what_a_study_does_not_vary_is_said(plot: str) -> None:
    axes = drawn(plot, "fixture")
    assert not axes.has_data()
    assert axes.texts[0].get_text().startswith("no two")


@pytest.mark.parametrize("plot", ["accuracy_params", "training_loss"])
def test_variants_without_a_run_are_named_below(plot: str) -> None:
    notes = [text.get_text().replace("\n", " ") for text in drawn(plot, "one run").texts]
    assert "not measured: patch_ff; none" in notes


def notes(axes: Axes) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in axes.texts)


@pytest.mark.parametrize("plot", ["accuracy_throughput", "throughput_depth"])
def test_throughput_is_what_was_measured_where_it_was(plot: str) -> None:
    seen, measured = drawn(plot, "depths"), drawn(plot, "benched")
    labels = [axes.get_xlabel() + axes.get_ylabel() for axes in (seen, measured)]
    assert "Training images/s, during the runs" in labels[0]
    assert "Inference images/s" in labels[1]
    assert "Synthetic device, bfloat16, eager, batch 128" in notes(measured)
    values = {line.get_label(): line.get_data() for line in measured.get_lines()}
    assert 5000.0 in {value for data in values.values() for value in np.ravel(data)}


def test_rates_of_several_modes_share_no_axis() -> None:
    runs = frames("benched")["runs"].copy()
    odd = runs["variant"].cat.codes < 2
    runs.loc[odd, "speed_mode"] = "inference, bfloat16, compiled"
    kept, rate = _rates.of(runs)
    assert rate.column == "throughput"
    assert "eager" in rate.note
    assert kept.loc[odd, "throughput"].isna().all()
    assert kept.loc[~odd, "throughput"].notna().any()


def test_of_several_modes_inference_of_all_variants_is_chosen() -> None:
    found = frames("depths")
    table = found["speed"].drop(index=found["speed"].index[0:1])  # of the first mode at batch 32
    gone = (table["mode"] == MODES[0]) & (table["batch"] == 128) & (table["mixer"] == "none")
    beside = _rates.add_measured(found["runs"], table[~gone])
    assert set(beside["speed_mode"]) == {MODES[1]}
    assert set(beside["speed_batch"]) == {128}
    for too_few in (table.iloc[:0], table[table["mixer"] != "none"]):
        assert "throughput" not in _rates.add_measured(found["runs"], too_few)


@pytest.mark.parametrize("plot", ONLY["beyond"])
def test_an_interval_beyond_the_axis_has_an_arrow_and_is_told(plot: str) -> None:
    axes = drawn(plot, "beyond")
    assert _intervals.NOTE in notes(axes)
    ends = {(line.get_marker(), line.get_ydata()[0]) for line in axes.get_lines() if line.get_marker() in (6, 7)}
    assert ends >= {(CARETUP, 100.0), (CARETDOWN, 0.0)}
    assert _intervals.NOTE not in notes(drawn(plot, "depths"))


def test_a_ranking_counts_what_is_told_apart() -> None:
    def pair(one: str, other: str, low: float, high: float, mode: str = "m") -> PairRanking:
        return PairRanking(one, other, "d", mode, 8, 1.0, low, high, 5)

    found = [
        pair("a", "b", 1.1, 1.2),
        pair("a", "b", 0.9, 1.2, "n"),
        pair("b", "c", 0.5, 0.9),
        pair("a", "c", 1.1, 2),
    ]
    axes = PLOTS["speed_ranking"].draw(tidy(found, ["d", "a", "b", "c"]), width=4.8)
    cells = [text.get_text() for text in axes.texts if "/" in text.get_text() or text.get_text() == "–"]
    assert cells == ["–", "1/1", "1/2\n≈1", "0/1", "–", "1/1", "0/2\n≈1", "0/1", "–"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1 a", "2 c", "3 b"]
    assert "not measured: d" in notes(axes)


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ("rates", "lr"),
        ("depths", "depth"),
        ("patches", "patch_size"),
        ("pieces", None),
        ("fixture", None),
        ("thirty", "mlp_ratio"),
    ],
)
def test_the_number_that_is_varied(case: str, field: str | None) -> None:
    assert _series.axis(frames(case)["runs"]) == field


def test_pieces_of_a_recipe_are_crossed_by_their_labels() -> None:
    axes = drawn("heatmap", "pieces")
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "as DeiT"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["attention", "patch_ff", "none"]


@EVERY
def test_draws_on_given_axes(plot: str) -> None:
    figure = Figure(figsize=(9, 4))
    FigureCanvasAgg(figure)
    mine = figure.add_subplot(1, 2, 1)
    assert PLOTS[plot].draw(frame_of(plot, SHOWN[plot]), mine) is mine
    assert tuple(figure.get_size_inches()) == (9, 4)


@pytest.mark.parametrize("plot", ALL_KINDS)
def test_same_frame_same_bytes_whatever_the_settings(plot: str, tmp_path: Path) -> None:
    def files(name: str) -> list[bytes]:
        figure = draw(plot, SHOWN[plot]).get_figure(root=True)
        assert isinstance(figure, Figure)
        return [path.read_bytes() for path in style.save(figure, tmp_path / name, style.KINDS)]

    before = files("before")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert files("after") == before
    assert b"<dc:date>" not in before[0]
    assert before[1].startswith(b"\x89PNG")
    assert before[2].startswith(b"%PDF")
    assert b"CreationDate" not in before[2]


def test_no_pyplot() -> None:
    """A figure of pyplot's would stay in memory, and may need a display."""
    import matplotlib.pyplot as plt

    for plot in ("accuracy_params", "heatmap"):
        draw(plot, SHOWN[plot])
    assert plt.get_fignums() == []


@EVERY
def test_a_plot_is_described(plot: str) -> None:
    found = PLOTS[plot]
    assert found.title
    assert found.input in frames("empty")
    assert found.caption.endswith(".")


@EVERY
def test_a_frame_is_left_as_it_was(plot: str) -> None:
    data = frame_of(plot, "troubled")
    before = data.copy()
    PLOTS[plot].draw(data)
    pd.testing.assert_frame_equal(data, before)


def test_a_curve_without_a_held_out_part_is_not_measured() -> None:
    axes = PLOTS["heldout_accuracy"].draw(frame_of("heldout_accuracy", "fixture").drop(columns="heldout_top1"))
    assert [text.get_text() for text in axes.texts] == ["not measured"]


def test_a_variant_looks_the_same_in_every_plot() -> None:
    for case in ("fixture", "thirty", "troubled"):
        looks = [palette.looks(frame) for frame in frames(case).values() if "variant" in frame]
        assert all(look == looks[0] for look in looks)


def test_the_documents_plot_does_what_it_says() -> None:
    document = Path(ablate.__file__).parent.parent / "docs" / "extending.md"
    (code,) = (
        part.split("```")[0] for part in document.read_text(encoding="utf-8").split("```python\n") if "INPUT =" in part
    )
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["draw"](frames("fixture")["runs"]).has_data()
    assert names["draw"](frames("empty")["runs"]).texts[0].get_text() == "not measured"


@pytest.mark.parametrize("write", [_near_points.write, _line_ends.write])
def test_of_very_many_names_some_are_written(write: Callable[..., None]) -> None:
    with style.style():
        axes = style.prepare(None, "Many", "x", "y", style.WIDTH)
        names = [_labels.Name(f"name {at}", (at % 7, at if at else 50), "black") for at in range(100)]
        axes.plot(*zip(*(name.point for name in names), strict=True), "o")
        write(axes, names)
    told = "\n".join(text.get_text() for text in axes.texts)
    assert f"{_labels.MOST} of 100 are named" in told
    for name in ("name 0", "name 1", "name 99"):
        assert re.search(rf"{name}\b", told), name
    assert not re.search(r"name 60\b", told)
