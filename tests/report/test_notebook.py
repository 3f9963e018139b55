"""What a notebook calls, on synthetic records."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ablate
from ablate.report.plots import PLOTS
from ablate.store import records
from tests import synthetic


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    for run in ablate.load("quickstart").runs():
        records.write(tmp_path / "results", synthetic.record(run))
    return tmp_path


def test_plot_by_name(finished: Path) -> None:
    for name in ("accuracy_params", "training_loss", "speed_ranking"):  # one of each kind of frame
        axes = ablate.plot("quickstart", name, root=finished)
        assert isinstance(axes, Axes)
        assert axes.get_title(loc="left") == PLOTS[name].title


def test_plot_on_axes_of_one_s_own(finished: Path) -> None:
    axes = Figure().add_subplot()
    assert ablate.plot(ablate.load("quickstart"), root=finished, ax=axes) is axes


def test_unknown_plot() -> None:
    with pytest.raises(ablate.SpecError, match="did you mean 'training_loss'"):
        ablate.plot("quickstart", "training_los")
    with pytest.raises(ablate.SpecError, match="the study must come before the plot"):
        ablate.plot("training_loss", "quickstart")


def test_frame_and_curves(finished: Path) -> None:
    runs = ablate.frame("quickstart", root=finished)
    assert len(runs) == 9
    assert list(runs["variant"].cat.categories) == ["attention", "patch_ff", "none"]
    assert len(ablate.frame("quickstart", root=finished, seeds=2)) == 6
    epochs = ablate.load("quickstart").runs()[0].epochs
    assert len(ablate.curves("quickstart", root=finished)) == 9 * epochs


def test_summary_and_verdicts(finished: Path) -> None:
    study = ablate.load("quickstart")
    runs = ablate.frame(study, root=finished)
    assert list(ablate.summarise(runs)["n"]) == [3, 3, 3]
    found = ablate.judge(study, "digits", runs)
    assert len(found) == len(study.claims)
    path = Path(ablate.__file__).parent / "named_studies" / "quickstart.py"
    for one in ("quickstart", path if path.is_file() else Path("studies/quickstart.py"), study):
        assert [v.decision for v in ablate.judge(one, root=finished)] == [v.decision for v in found]
        assert len(ablate.frame(one, root=finished)) == len(runs)
