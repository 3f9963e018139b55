"""What the tests of the report share: a root with the fixture records, their report, and plots that are quick."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ablate.report import figures, files, render
from ablate.report import verification as verify
from ablate.report.content import Content
from ablate.report.figures import Figure
from ablate.report.plots import PLOTS
from ablate.store.root import Root
from tests.synthetic import ROOT, fixture_study

DRAWN: dict[str, list[Figure]] = {}


@pytest.fixture
def fixture_root(root: Root) -> Root:
    """A root with the fixture records."""
    shutil.copytree(ROOT.results, root.results, dirs_exist_ok=True)
    return root


@pytest.fixture
def few_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports draw two plots, once for the same records: what they say about all else does not depend on the others."""
    few = {name: PLOTS[name] for name in ("accuracy_params", "training_loss")}
    draw_all = figures.draw_all

    def draw_once(content: Content, *, rendered: bool = True) -> list[Figure]:
        key = f"{content.variants} {content.manifest.records} {content.manifest.speeds} {rendered}"
        if key not in DRAWN:
            DRAWN[key] = draw_all(content, rendered=rendered)
        return DRAWN[key]

    for module in (figures, files):
        monkeypatch.setattr(module, "PLOTS", few)
    for module in (files, verify):
        monkeypatch.setattr(module, "draw_all", draw_once)


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the fixture study, with every plot."""
    place = Root.at(tmp_path_factory.mktemp("usual"))
    shutil.copytree(ROOT.results, place.results)
    return render(fixture_study(), "digits", place)
