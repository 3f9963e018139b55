"""The files of docs/extending.md, used as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

import ablate
from ablate.dispatch.worker import request, requested
from ablate.report.plots import PLOTS, in_reports
from ablate.spec.errors import SpecError
from ablate.spec.plugins import KINDS
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root

pytestmark = pytest.mark.usefixtures("own_files")

DOCS = Path(ablate.__file__).parent.parent / "docs"
FILE = re.compile(
    r"Save\s+(?:it|this\s+one)\s+as\s+`([\w/]+\.py)`(?:(?!```).)*```python\n(.*?)^```", re.MULTILINE | re.DOTALL
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Write the files of docs/extending.md; return the folder."""
    for name, code in FILE.findall((DOCS / "extending.md").read_text(encoding="utf-8")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def test_a_study_of_files_of_ones_own_is_trained_by_workers_and_drawn(own: Path) -> None:
    study = ablate.load(own / "all_my_own.py")
    assert [len(keys) for keys in ablate.plan(study, root=own)["missing"]] == [1, 1, 1, 1]  # which checks every part
    found = ablate.run(study, root=own, jobs=1, threads=1, device="cpu")
    assert found.complete, found.failed
    files = [set(one.provenance["files"]) for one in records.read_all(own / "results")]
    assert sorted(files, key=len)[0] == {"dataset"}
    assert set.union(*files) == {"dataset", "mixer", "channel", "stem"}
    axes = ablate.plot(study, "every_seed", root=own)
    assert axes.has_data()
    assert axes.get_title(loc="left") == "Every seed"


def test_a_request_has_the_file_of_its_dataset(own: Path, root: Root) -> None:
    ablate.use(own / "datasets" / "stripes.py", "dataset")
    run = Run(dataset="stripes")
    request(root, run, Resources())
    content = orjson.loads((root.run_folder(run.key) / "run.json").read_bytes())
    assert content["files"] == {"dataset": str(own / "datasets" / "stripes.py")}
    del KINDS["dataset"]._modules["stripes"]
    assert requested(root, run.key)[0] == run
    assert "stripes" in KINDS["dataset"]


def test_a_plot_of_ones_own_is_in_no_report(own: Path) -> None:
    before = in_reports(PLOTS)
    ablate.use(own / "plots" / "every_seed.py", "plot")
    assert "every_seed" in PLOTS
    assert in_reports(PLOTS) == before


@pytest.mark.parametrize(
    ("name", "slot", "content", "sentence"),
    [
        ("half.py", "plot", "TITLE = 'Half'", r"half\.py must define INPUT, draw; the file of a plot defines TITLE"),
        (
            "half.py",
            "dataset",
            "BEHAVIOUR = 1",
            r"half\.py must define CHANNELS, CLASSES, fingerprint, check, load; the file of a dataset",
        ),
        ("half.py", "dataset", "TITLE = 'Half'", r"half\.py assigns no BEHAVIOUR"),
        ("heatmap.py", "plot", "TITLE = INPUT = draw = 'runs'", "plot 'heatmap' is defined twice"),
    ],
)
def test_an_incomplete_file_is_refused(tmp_path: Path, name: str, slot: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match=sentence):
        ablate.use(tmp_path / name, slot)


def test_a_plot_with_the_name_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training_loss.py").write_text("TITLE = INPUT = draw = 'runs'", encoding="utf-8")
    ablate.use(tmp_path / "training_loss.py", "plot")
    with pytest.raises(SpecError, match=r"plot 'training_loss' is defined twice: in the catalogue and in .*_loss\.py"):
        PLOTS.check("heatmap")
