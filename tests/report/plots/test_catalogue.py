"""Plots by name: a row of the catalogue or a file, and never both."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ablate import SpecError
from ablate.report import plots
from ablate.report.plots import PLOTS, Plots
from ablate.report.plots._catalogue import CATALOGUE, INPUTS
from ablate.spec.registry import Registry

FILE = '''"""A caption
on two lines."""

TITLE, INPUT = "Mine", "runs"


def draw(data, ax=None, *, width=4.8):
    ax.set_title(f"{len(data)} rows, {width}")
    return ax
'''


def registry(folder: Path, name: str) -> Registry:
    """A folder with one file of a user."""
    path = folder / f"{name}.py"
    path.write_text(FILE)
    found = Registry("plot", "nowhere", folder / "empty")
    found.add(name, str(path), path)
    return found


def test_a_file_is_a_plot_next_to_the_catalogue(tmp_path: Path) -> None:
    found = Plots(CATALOGUE, registry(tmp_path, "mine"))
    assert list(found) == sorted([*CATALOGUE, "mine"])
    assert len(found) == len(CATALOGUE) + 1
    plot = found["mine"]
    assert (plot.title, plot.input, plot.caption) == ("Mine", "runs", "A caption on two lines.")
    axes = Figure().subplots()
    assert plot.draw(pd.DataFrame(), axes, width=3.0) is axes
    assert axes.get_title() == "0 rows, 3.0"


def test_a_file_must_not_have_the_name_of_an_entry(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="plot 'accuracy_depth' is defined twice: in the catalogue and in"):
        Plots(CATALOGUE, registry(tmp_path, "accuracy_depth"))


def test_an_unknown_plot_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SpecError, match="did you mean 'accuracy_depth'"):
        PLOTS["acuracy_depth"]


def test_an_entry_has_the_title_caption_and_frame_of_its_row() -> None:
    for name, entry in CATALOGUE.items():
        plot = PLOTS[name]
        assert (plot.title, plot.caption, plot.input) == (entry.title, entry.caption, INPUTS[entry.kind])


def test_the_files_of_the_folder_are_plots() -> None:
    folder = Path(plots.__file__).parent
    assert set(PLOTS) - set(CATALOGUE) == {path.stem for path in folder.glob("[!_]*.py")}
