"""The commands on synthetic records: output, JSON and exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from ablate import load
from ablate.cli import SECTIONS, app, jobs
from ablate.dispatch import worker
from ablate.store import records
from ablate.store.root import Root
from tests import synthetic

README = Path(__file__).parents[2] / "README.md"
COMMANDS = [name for section in SECTIONS.values() for name in section]


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return a root with all records of the quickstart."""
    for run in load("quickstart").runs():
        records.write(tmp_path / "results", synthetic.record(run))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    assert f"  Examples:\n      ablate {command}" in invoke(command, "--help").stdout


@pytest.mark.parametrize("text", [jobs.logs.__doc__ or "", README.read_text("utf-8")], ids=["help", "README"])
def test_the_example_of_a_key_is_one(text: str) -> None:
    shown = re.findall(r"ablate logs ([0-9a-f]{10})", text)
    assert shown
    assert set(shown) <= {run.key for run in load("quickstart").runs()}


def test_help_lists_every_command() -> None:
    shown = invoke("--help").stdout
    assert {"list", "plan", "run", "status", "logs", "table", "plot", "report", "new"} <= set(COMMANDS)
    assert all(f"  {command} " in shown for command in COMMANDS)


def test_list(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert "9/9" in invoke("list", "--root", str(finished)).stdout
    listed = orjson.loads(invoke("list", "--json", "--root", str(tmp_path_factory.mktemp("empty"))).stdout)
    entry = next(e for e in listed if e["name"] == "quickstart")
    assert entry["scales"][0] == {"name": "digits", "variants": 3, "runs": 9, "done": 0}


def test_list_counts_from_the_root_in_the_environment(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_ROOT", str(finished))
    assert "9/9" in invoke("list").stdout


def test_plan(tmp_path: Path) -> None:
    shown = invoke("plan", "quickstart", "--root", str(tmp_path), "--seeds", "2").stdout
    assert "mixer=patch_ff" in shown
    assert "6 of 6 runs to train" in shown
    content = orjson.loads(invoke("plan", "quickstart", "--root", str(tmp_path), "--json").stdout)
    assert [variant["changes"] for variant in content["variants"]] == [{}, {"mixer": "patch_ff"}, {"mixer": "none"}]
    assert sum(len(variant["missing"]) for variant in content["variants"]) == 9


def test_plan_shows_the_disk_space(tmp_path: Path, finished: Path) -> None:
    shown = invoke("plan", "quickstart", "--root", str(tmp_path / "empty"), "--seeds", "1").stdout
    assert re.search(r"^disk: 503\.\d kB of weights at the end, \d\.\d MB of checkpoints at most while ", shown, re.M)
    content = orjson.loads(invoke("plan", "quickstart", "--root", str(tmp_path / "empty"), "--json").stdout)
    assert content["disk"]["weights"] == sum(4 * 3 * params for params in (58_714, 36_874, 30_202))
    assert "disk" not in invoke("plan", "quickstart", "--root", str(finished)).stdout


def test_run_with_all_records_prints_table_and_report(finished: Path) -> None:
    shown = invoke("run", "quickstart", "--root", str(finished)).stdout
    assert "patch_ff" in shown
    assert "reports/quickstart-digits/index.html" in shown.replace("\n", "")
    assert (finished / "reports" / "quickstart-digits" / "index.html").exists()


def test_run_as_json(finished: Path) -> None:
    content = orjson.loads(invoke("run", "quickstart", "--root", str(finished), "--json").stdout)
    assert [run["state"] for run in content["runs"]] == ["done"] * 9
    assert Path(content["report"]).name == "index.html"


def test_inline_trains_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    shown = invoke("run", "quickstart", "--root", str(tmp_path), "--on", "inline").stdout
    assert shown.count("done    ") == 9
    assert len(records.index(tmp_path / "results")) == 9


@pytest.mark.slow
def test_a_failed_run_gives_exit_code_1_and_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(run: object, *_: object) -> records.Record:
        if run == broken:
            raise RuntimeError("the disk is full")
        return synthetic.record(run)

    broken = load("quickstart").runs()[4]
    monkeypatch.setattr(worker, "execute", execute)
    shown = invoke("run", "quickstart", "--root", str(tmp_path), "--on", "inline", code=1).stdout
    assert "RuntimeError: the disk is full" in shown
    assert len(records.index(tmp_path / "results")) == 8
    shown = invoke("status", "quickstart", "--root", str(tmp_path), code=1).stdout
    assert "8 done" in shown
    assert "1 failed" in shown
    assert "the disk is full" in invoke("logs", broken.key, "--root", str(tmp_path)).stdout
    monkeypatch.setattr(worker, "execute", lambda run, *_: synthetic.record(run))
    invoke("run", "quickstart", "--root", str(tmp_path), "--on", "inline", code=1)
    invoke("run", "quickstart", "--root", str(tmp_path), "--on", "inline", "--retry-failed")
    assert len(records.index(tmp_path / "results")) == 9


def test_status_as_json(finished: Path) -> None:
    content = orjson.loads(invoke("status", "quickstart", "--root", str(finished), "--json").stdout)
    assert {run["state"] for run in content} == {"done"}
    assert content[0]["name"] == "attention, seed 0"


@pytest.mark.parametrize("name", ["heatmap", "scaling_batch", "throughput_depth"])
def test_a_plot_without_data_is_refused(finished: Path, name: str) -> None:
    """The quickstart varies the mixer alone, and its speed is not measured."""
    refused = invoke("plot", "quickstart", "--root", str(finished), "--plot", name, code=2).stderr
    assert f"plot {name} has nothing to draw: " in refused


def test_plot_writes_files(finished: Path) -> None:
    shown = invoke("plot", "quickstart", "--root", str(finished), "--plot", "accuracy_params").stdout
    written = [Path(line) for line in shown.split()]
    assert {path.suffix for path in written} == {".svg", ".png"}
    assert all(path.exists() and path.stem == "accuracy_params" for path in written)


@pytest.mark.parametrize("format_", ["text", "md", "tex", "csv", "json", "html"])
def test_table_formats(finished: Path, format_: str) -> None:
    shown = invoke("table", "quickstart", "--root", str(finished), "--format", format_).stdout
    assert "attention" in shown
    assert "none" in shown


def test_table_as_json_is_for_scripts(finished: Path) -> None:
    rows = orjson.loads(invoke("table", "quickstart", "--root", str(finished), "--json").stdout)
    assert [row["variant"] for row in rows] == ["attention", "patch_ff", "none"]
    assert all(row["n"] == 3 and isinstance(row["top1"], float) for row in rows)


def test_new_study_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("new", "mine")
    assert "6 of 6 runs to train" in invoke("plan", "mine").stdout
    assert "mine " in invoke("list").stdout


def test_a_study_in_the_current_folder_precedes_that_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("new", "mine")
    Path("studies", "mine.py").rename(Path("studies", "quickstart.py"))
    assert load("quickstart").question == "What does this study ask?"


def test_completion_offers_studies(tmp_path: Path) -> None:
    environment = {"_ABLATE_COMPLETE": "complete_bash", "COMP_WORDS": "ablate run quick", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'ablate'; from ablate.cli import main; main()"]
    shown = subprocess.run(command, env={**environment, "PATH": ""}, capture_output=True, text=True, cwd=Path.cwd())
    assert "quickstart" in shown.stdout, shown.stderr


def test_start_up_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from ablate.cli import app;"
        "CliRunner().invoke(app, ['list']); CliRunner().invoke(app, ['--help']);"
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'submitit') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["list", "plan", "status", "table", "run"])
def test_a_closed_pipe_is_not_a_failure(finished: Path, command: str) -> None:
    words = [command, *(["quickstart"] if command != "list" else []), "--root", str(finished)]
    process = subprocess.Popen([sys.executable, "-m", "ablate", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, b"")


def test_root_paths(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    assert (root.results, root.runs, root.reports) == tuple(tmp_path / name for name in ("results", "runs", "reports"))
