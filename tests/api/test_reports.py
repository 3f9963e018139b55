"""Tables, reports and their verification from Python, on records that were not trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import ablate
from ablate.report import figures, files
from ablate.report.plots import PLOTS
from ablate.store.root import Root
from tests.synthetic import FIXTURES, ROOT, fixture_study

pytestmark = pytest.mark.usefixtures("silent")


@pytest.fixture
def silent(capsys: pytest.CaptureFixture[str]) -> object:
    """Check that a test printed nothing."""
    yield
    assert capsys.readouterr().out == ""


@pytest.fixture
def place(root: Root, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root with the fixture records, whose reports have one plot."""
    shutil.copytree(ROOT.results, root.results, dirs_exist_ok=True)
    for module in (figures, files):
        monkeypatch.setattr(module, "PLOTS", {"accuracy_params": PLOTS["accuracy_params"]})
    return root.path


def test_each_table_is_a_frame(place: Path) -> None:
    study = fixture_study()
    assert {"variant", "n", "top1", "top1_low", "top1_high"} <= set(ablate.table(study, root=place))
    assert {"difference", "p_holm"} <= set(ablate.table(study, by="seeds", root=place))
    assert set(ablate.table(study, by="images", root=place)["why"]) == {"not recorded"}
    with pytest.raises(ablate.SpecError, match="unknown table 'variant': did you mean 'variants'"):
        ablate.table(study, by="variant", root=place)


def test_a_report_is_written_and_verified(place: Path) -> None:
    page = ablate.write_report(fixture_study(), root=place, compare=False)
    assert page.is_file()
    (found,) = ablate.verify(page.parent, study=fixture_study(), root=place)
    assert found.holds
    table = page.parent / "table.csv"
    table.write_text(table.read_text().replace("attention", "attentoin", 1))
    (found,) = ablate.verify(page.parent.name, study=fixture_study(), root=place)
    assert not found.holds


def test_without_a_report_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(ablate.SpecError, match="has no report"):
        ablate.verify(root=tmp_path)


def test_a_report_needs_a_name(place: Path) -> None:
    study = ablate.Study(question="?", axes={"mixer": ["attention"]}, scales={"digits": ablate.DIGITS})
    with pytest.raises(ablate.SpecError, match="pass name="):
        ablate.write_report(study, root=place)


def test_a_name_a_path_and_a_study_are_the_same(place: Path) -> None:
    path = FIXTURES / "fixture_study.py"
    first, *rest = (ablate.frame(one, root=place) for one in (path, str(path), ablate.load(path)))
    assert len(first) == 8
    assert all(first.equals(other) for other in rest)
    assert len(ablate.judge(path, root=place)) == len(ablate.load(path).claims)
    assert ablate.plot(path, "accuracy_params", root=place).has_data()
    assert ablate.frame("quickstart", root=place).empty
    with pytest.raises(ablate.SpecError, match="the study must come before the plot"):
        ablate.plot("accuracy_params", "quickstart", root=place)
