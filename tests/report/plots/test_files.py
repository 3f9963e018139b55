"""Plots as files: their kinds, widths and names, by function and by command."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from ablate import SpecError
from ablate.cli import app
from ablate.report.drawing import style
from ablate.report.notebook import write_plots
from tests.synthetic import FIXTURES, ROOT, fixture_study

NAMES = ["accuracy_params", "heatmap"]


@pytest.fixture(scope="module")
def study_file() -> str:
    return str(FIXTURES / "fixture_study.py")


def test_files_are_named_by_plot_width_and_kind(tmp_path: Path) -> None:
    def names(**asked: object) -> list[str]:
        paths = write_plots(NAMES[:1], fixture_study(), None, tmp_path, root=ROOT.path, **asked)  # type: ignore[arg-type]
        assert all(path.is_file() for path in paths)
        return [path.name for path in paths]

    assert names() == ["accuracy_params.svg", "accuracy_params.png"]
    assert names(kinds=["pdf"], width="half") == ["accuracy_params-half.pdf"]
    assert names(kinds=["png"], width=5.5) == ["accuracy_params-5.5.png"]


@pytest.mark.parametrize(("width", "inches"), [("half", 3.3), ("full", 6.9), ("5", 5.0)])
def test_a_figure_is_as_wide_as_asked(tmp_path: Path, width: str, inches: float) -> None:
    (path,) = write_plots(NAMES[:1], fixture_study(), None, tmp_path, root=ROOT.path, kinds=["png"], width=width)
    with Image.open(path) as picture:
        assert picture.width == pytest.approx(inches * style.DPI, abs=1)


def test_plots_with_nothing_to_show_can_be_left_out(tmp_path: Path) -> None:
    paths = write_plots(NAMES, fixture_study(), None, tmp_path, root=ROOT.path, kinds=["png"], required=False)
    assert [path.name for path in paths] == ["accuracy_params.png"]


@pytest.mark.parametrize("width", ["wide", "0", "nan", "-3", "1000"])
def test_a_width_that_is_none(width: str) -> None:
    with pytest.raises(SpecError, match="width must be half, full, or a number of inches"):
        style.inches(width)


def test_the_command(tmp_path: Path, study_file: str) -> None:
    (tmp_path / "results").symlink_to(ROOT.results)
    command = [
        "plot",
        study_file,
        "--plot",
        "differences",
        "--format",
        "pdf",
        "--width",
        "half",
        "--root",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (path,) = (Path(line) for line in done.stdout.split())
    assert path.name == "differences-half.pdf"
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("option", [["--format", "gif"], ["--width", "wide"]])
def test_the_command_refuses(tmp_path: Path, study_file: str, option: list[str]) -> None:
    done = CliRunner().invoke(app, ["plot", study_file, "--root", str(tmp_path), *option])
    assert done.exit_code != 0
    assert isinstance(done.exception, SpecError | SystemExit)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(("shades", "few"), [(20, True), (3000, False)])
def test_a_png_has_few_colours_only_where_they_show_it_as_it_is(shades: int, few: bool) -> None:
    colours = np.resize(np.random.default_rng(0).random((shades, 3)), (64, 64, 3))
    figure = Figure(figsize=(2, 2))
    figure.figimage(colours)
    picture = Image.open(BytesIO(style.encode(figure, "png")))
    assert (picture.mode == "P") == few
    shown = np.asarray(picture.convert("RGB"))[-64:, :64].astype(int)
    assert np.abs(shown - colours * 255).max() <= style.UNSEEN + 1
