"""Faults in the user's own files, at the command line: a sentence, and nothing lost of what succeeded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from matplotlib import pyplot
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.report.plots import PLOTS
from ablate.spec.parts import DATASETS
from ablate.store import records
from tests.study.test_user_code import COUNT, FORWARD, MIXER, RETURN

pytestmark = pytest.mark.usefixtures("own_files")

STUDY = """
from ablate import Scale, Study, use

use("mine.py")
tiny = {"image_size": 12, "patch_size": 4, "dim": 16, "depth": 1, "heads": 2, "batch_size": 256, "epochs": 1}
study = Study(
    question="Is it \x1b[31mwrong?",
    axes={"mixer": ["none", "mine"]},
    fixed={"pool": "avg"},
    scales={"tiny": Scale(tiny)},
    seeds=1,
)
"""


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.fixture
def study(tmp_path: Path) -> str:
    """A study with a mixer that works, in a folder whose name needs quotes."""
    folder = tmp_path / "it's mine"
    folder.mkdir()
    (folder / "mine.py").write_text(MIXER)
    (folder / "asked.py").write_text(STUDY)
    return str(folder / "asked.py")


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def damage(study: str, old: str, new: str) -> None:
    path = Path(study).with_name("mine.py")
    path.write_text(path.read_text().replace(old, new, 1))


def run(study: str, tmp_path: Path, *words: str) -> Result:
    return invoke("run", study, "--on", "inline", "--root", str(tmp_path / "root"), *words)


FAULTS = [
    (FORWARD, "def forward(self, x):", "mine.py, line 13: TypeError: Mean.forward() got an unexpected keyword"),
    (COUNT, "dims", "mine.py, line 23: NameError: name 'dims' is not defined"),
    (RETURN, "return mixed[:, :2]", "must return the shape (2, 9, 16)"),
    (COUNT, "7", "returns 7 for one image of 9 patches and dim 16, but torch counts 2,304"),
    ("import torch\n", "import torch\nraise SystemExit\n", "mine.py, line 3: SystemExit"),
]


@pytest.mark.parametrize(("old", "new", "words"), FAULTS)
def test_a_broken_mixer_is_refused_by_plan(study: str, tmp_path: Path, old: str, new: str, words: str) -> None:
    damage(study, old, new)
    for more in ([], ["--compare"]):
        planned = invoke("plan", study, "--root", str(tmp_path / "root"), *more)
        assert (planned.exit_code, planned.stdout) == (2, "")
        assert words in planned.stderr


@pytest.mark.parametrize(("old", "new", "words"), FAULTS[:2])
def test_a_broken_mixer_loses_no_other_run(study: str, tmp_path: Path, old: str, new: str, words: str) -> None:
    damage(study, old, new)
    result = run(study, tmp_path)
    assert result.exit_code == 1
    assert "none, seed 0: test top-1" in result.stdout
    assert result.stdout.index("Difference (pp)") < result.stdout.index("1 of 2 runs failed")
    assert words in result.stdout.replace("\n", " ")
    assert "report: " in result.stdout
    assert "ablate: the report does not compare the models: " in result.stderr
    assert [record.run["mixer"] for record in records.read_all(tmp_path / "root" / "results")] == ["none"]
    for command in ("table", "status", "claims"):
        invoke(command, study, "--root", str(tmp_path / "root"))


def test_a_mixer_of_single_precision_only_is_planned_and_compared(study: str, tmp_path: Path) -> None:
    damage(study, RETURN, "return torch.eye(x.shape[1]) @ mixed")
    damage(study, COUNT, "tokens * run.dim**2 + tokens**2 * run.dim")
    for more in ([], ["--compare"]):
        planned = invoke("plan", study, "--root", str(tmp_path / "root"), *more)
        assert planned.exit_code == 0, planned.stderr


def test_a_mixer_that_works_is_planned_and_trained(study: str, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    planned = invoke("plan", study, "--root", root)
    assert planned.exit_code == 0
    assert "Is it \\x1b[31mwrong?" in planned.stdout, "escape sequences are printed as text"
    assert run(study, tmp_path).exit_code == 0
    for command in ("plan", "table", "status", "claims", "report"):
        assert "\x1b[31mwrong" not in invoke(command, study, "--root", root).output


def test_a_printing_study_leaves_json_valid(study: str, tmp_path: Path) -> None:
    Path(study).write_text("print('hello')\n" + STUDY)
    damage(study, "import torch\n", "import torch\nprint('hello')\n")
    for command in ("plan", "status", "table", "claims"):
        result = invoke(command, study, "--json", "--root", str(tmp_path / "root"))
        assert result.exit_code == 0
        orjson.loads(result.stdout)


def plot_file(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Add a plot in a file of its own."""
    path = folder / "mine.py"
    path.write_text(
        f'"""A plot."""\nTITLE = "Mine"\nINPUT = "runs"\n\n\ndef draw(data, ax=None, *, width=1):\n    {body}\n'
    )
    files = PLOTS._files
    monkeypatch.setattr(files, "_modules", files._modules | {"mine": str(path)})
    monkeypatch.setattr(files, "_paths", files._paths | {"mine": path})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('top9')", "mine.py, line 7: KeyError: 'top9'"),
        ("return None", "mine.py must return the axes, got None"),
        ("pass", "mine.py must return the axes, got None"),
        ("raise SystemExit", "mine.py, line 7: SystemExit"),
        ("return 1 / 0", "mine.py, line 7: ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_plot_is_a_sentence(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    plot_file(tmp_path, monkeypatch, body)
    drawn = invoke("plot", study, "--plot", "mine", "--root", str(tmp_path / "root"))
    assert drawn.exit_code == 2
    assert words in drawn.stderr


def test_a_broken_plot_loses_no_table(study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plot_file(tmp_path, monkeypatch, "return data['top9']")
    monkeypatch.setattr("ablate.report.figures.in_reports", sorted)  # as if the file were in the package
    result = run(study, tmp_path)
    assert result.exit_code == 1
    assert "Difference (pp)" in result.stdout
    assert f"ablate: the report was not written: {tmp_path}/mine.py, line 7: KeyError: 'top9'" in result.stderr


@pytest.mark.parametrize(("old", "new", "words"), [
    ("INPUT", "IMPORT", "must define INPUT"),
    ('"runs"', '"run"', "INPUT in"),
    ("def draw", "def drew", "must define draw"),
    ('"""A plot."""', "nonsense", "line 1: NameError: name 'nonsense' is not defined"),
])  # fmt: skip
def test_an_incomplete_plot_is_a_sentence(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    plot_file(tmp_path, monkeypatch, "return None")
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace(old, new))
    drawn = invoke("plot", study, "--plot", "mine", "--root", str(tmp_path / "root"))
    assert drawn.exit_code == 2
    assert words in drawn.stderr


DATASET = """
from ablate.data.datasets import digits

BEHAVIOUR = 1
CHANNELS = 1
CLASSES = 10
LOADER = "resident"


def fingerprint(location=None):
    return digits.fingerprint(location)


def check(run, location=None):
    digits.check(run, location)


def load(run, location=None):
    return digits.load(run, location)
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("return digits.load(run, location)", "return {}['x']", "own.py, line 19: KeyError: 'x'"),
        (
            "return digits.load(run, location)",
            "pass",
            "load in {folder}/own.py must return Arrays or Encoded, got None",
        ),
        ("digits.check(run, location)", "run.width", "own.py, line 15: AttributeError: 'Run' object has no attribute"),
        ("return digits.fingerprint(location)", "1 / 0", "own.py, line 11: ZeroDivisionError"),
        ("BEHAVIOUR = 1", "BEHAVIOUR = 1\nraise SystemExit", "own.py, line 5: SystemExit"),
    ],
)
def test_a_broken_dataset_is_a_sentence(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(DATASET.replace(old, new, 1))
    monkeypatch.setattr(DATASETS, "_modules", DATASETS._modules | {"own": str(path)})
    monkeypatch.setattr(DATASETS, "_paths", DATASETS._paths | {"own": path})
    Path(study).write_text(STUDY.replace('"batch_size"', '"dataset": "own", "batch_size"'))
    result = run(study, tmp_path)
    assert result.exit_code in (1, 2)
    assert words.replace("{folder}", str(tmp_path)) in result.output
    assert "Traceback" not in result.output
