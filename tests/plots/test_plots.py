"""Every plot on every kind of frame: it draws, warns of nothing, and its names are whole and apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ablate import Scale, Study
from ablate.plots import PLOTS, _style
from ablate.records import Record
from ablate.table import curves, study_frame, study_records
from tests.synthetic import ROOT, fixture_study, record

FRAMES = {"runs": study_frame, "curves": curves}
SMALL = {"epochs": 4, "image_size": 16, "patch_size": 4, "heads": 4, "pool": "avg", "holdout": 0.2}


def many(number: int = 12) -> Study:
    """A study with many variants of long names."""
    changes = {f"attention, mlp_ratio={1 + at / 4}, dim=64": {"mlp_ratio": 1 + at / 4} for at in range(number)}
    return Study(question="?", axes={"width": changes}, scales={"s": Scale({**SMALL, "dim": 64, "depth": 4})})


def coinciding() -> Sequence[Record]:
    """Records of `many` whose variants hardly differ in anything."""
    nearly = [record(run, complexity={"params": 100_000 + at}) for at, run in enumerate(many().runs())]
    return [
        record(one.as_run(), metrics={"top1": 95 + one.run["seed"] / 10}, complexity=one.complexity) for one in nearly
    ]


def odd() -> Study:
    """A study whose names are no names for matplotlib's mathematics."""
    labels = {"$x_1$ & $": {}, "<b>é</b> ^_{": {"mixer": "none"}, "w" * 70: {"mixer": "patch_ff"}}
    return Study(question="?", axes={"odd": labels}, scales={"s": Scale(SMALL)})


def fixture_records() -> list[Record]:
    return study_records(fixture_study(), "digits", ROOT.results)


CASES = {
    "fixture": lambda: (fixture_study(), "digits", fixture_records()),
    "empty": lambda: (fixture_study(), "digits", []),
    "one run": lambda: (fixture_study(), "digits", fixture_records()[:1]),
    "one seed": lambda: (fixture_study(), "digits", [r for r in fixture_records() if r.run["seed"] == 0]),
    "twelve variants": lambda: (many(), "s", [record(run) for run in many().runs()]),
    "twelve that coincide": lambda: (many(), "s", coinciding()),
    "odd names": lambda: (odd(), "s", [record(run) for run in odd().runs()]),
}


def frame_of(plot: str, case: str) -> pd.DataFrame:
    study, scale, found = CASES[case]()
    return FRAMES[PLOTS[plot].TAKES](study, scale, found)


def texts(axes: Axes) -> list[Text]:
    """All texts of a figure that are seen."""
    found = axes.get_figure().findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def box(text: Text) -> Bbox:
    return Text.get_window_extent(text)


def check_names(axes: Axes) -> None:
    """No name of a variant lies over another, and no text leaves the figure."""
    figure = axes.get_figure()
    figure.draw_without_rendering()
    for one, other in combinations(axes.texts, 2):
        assert not box(one).padded(-0.5).overlaps(box(other).padded(-0.5)), (one.get_text(), other.get_text())
    ticks = {label for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels(which="both")}
    low, high = figure.bbox.padded(0.5).get_points()
    for text in texts(axes):
        inside = (box(text).get_points() >= low).all() and (box(text).get_points() <= high).all()
        assert inside or text in ticks, text.get_text()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("plot", PLOTS)
def test_names_are_whole_and_apart(plot: str, case: str) -> None:
    axes = PLOTS[plot].draw(frame_of(plot, case))
    assert isinstance(axes, Axes)
    check_names(axes)


@pytest.mark.parametrize("plot", PLOTS)
def test_every_measured_variant_is_named(plot: str) -> None:
    written = {text.get_text() for text in PLOTS[plot].draw(frame_of(plot, "fixture")).texts}
    assert written == {"attention", "patch_ff", "none"}


@pytest.mark.parametrize("plot", PLOTS)
def test_an_empty_frame_says_so(plot: str) -> None:
    axes = PLOTS[plot].draw(frame_of(plot, "empty"))
    assert [text.get_text() for text in axes.texts] == ["not measured"]


@pytest.mark.parametrize("plot", PLOTS)
def test_variants_without_a_run_are_named_below(plot: str) -> None:
    assert PLOTS[plot].draw(frame_of(plot, "one run")).get_xlabel().endswith("not measured: patch_ff; none")


@pytest.mark.parametrize("plot", PLOTS)
def test_draws_on_given_axes(plot: str) -> None:
    figure = Figure(figsize=(9, 4))
    FigureCanvasAgg(figure)
    mine = figure.add_subplot(1, 2, 1)
    assert PLOTS[plot].draw(frame_of(plot, "fixture"), mine) is mine


@pytest.mark.parametrize("plot", PLOTS)
def test_same_frame_same_bytes_whatever_the_settings(plot: str, tmp_path: Path) -> None:
    def files(name: str) -> list[bytes]:
        with _style.style():
            axes = PLOTS[plot].draw(frame_of(plot, "fixture"))
        return [path.read_bytes() for path in _style.save(axes.get_figure(), tmp_path / name)]

    before = files("before")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert files("after") == before
    assert b"<dc:date>" not in before[0]


def test_no_pyplot() -> None:
    """A figure of pyplot's would stay in memory, and may need a display."""
    import matplotlib.pyplot as plt

    PLOTS["accuracy_params"].draw(frame_of("accuracy_params", "fixture"))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_is_described(plot: str) -> None:
    module = PLOTS[plot]
    assert module.TITLE
    assert module.TAKES in FRAMES
    assert module.__doc__.strip().endswith(".")


def test_a_curve_without_a_held_out_part_is_not_measured() -> None:
    frame = frame_of("heldout_accuracy", "fixture").drop(columns="heldout_top1")
    axes = PLOTS["heldout_accuracy"].draw(frame)
    assert [text.get_text() for text in axes.texts] == ["not measured"]


def test_a_variant_looks_the_same_in_every_plot() -> None:
    looks = [_style.looks(frame_of(plot, "fixture")) for plot in PLOTS]
    assert all(look == looks[0] for look in looks)
    assert len(set(_style.looks(frame_of("accuracy_params", "twelve variants")).values())) == 12
