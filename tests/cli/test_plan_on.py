"""What a plan shows of a launch: where runs would train, in how many jobs, for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import probe as probing
from ablate.dispatch.probe import Probe, probe
from ablate.spec.resources import Resources
from ablate.store import records
from tests import synthetic
from tests.fake_slurm import FakeSlurm
from tests.tiny import TINY

STUDY = '''"""Two variants, three seeds."""
from ablate import Scale, Study

study = Study(
    question="How long?",
    axes={"mixer": ["attention", "none"]},
    scales={"tiny": Scale({"dim": 16, "depth": 1, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 100,
                           "pool": "avg"})},
    seeds=3,
)
'''


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "long.py"
    path.write_text(STUDY)
    return path


def plan(study: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, ["plan", str(study), "--root", str(study.parent), *words])
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout) if "--json" in words else result.stdout


def test_here(study: Path) -> None:
    assert "local: 6 runs, 2 side by side\n" in plan(study, "--jobs", "2")
    assert "3 processes each" in plan(study, "--device", "cpu", "--gpus-per-run", "3")


def test_on_slurm(study: Path, fake_slurm: FakeSlurm) -> None:
    fake_slurm.longest = 4
    shown = plan(study, "--on", "slurm", "--minutes", "30", "--jobs", "3")
    assert "slurm: 6 jobs in 2 arrays (4 + 2), 3 side by side; each 1 node with 1 process and 30 minutes" in shown
    shown = plan(study, "--on", "slurm", "--runs-per-job", "6", "--gpus-per-run", "4", "--nodes", "2")
    assert "slurm: 1 job, 1 side by side; each 2 nodes with 4 processes and the partition's time limit" in shown


def test_what_has_a_record_is_not_planned(study: Path) -> None:
    for run in load(study).runs()[:5]:
        records.write(study.parent / "results", synthetic.record(run))
    assert "local: 1 run, " in plan(study)
    records.write(study.parent / "results", synthetic.record(load(study).runs()[5]))
    assert "local: " not in plan(study)


def test_as_json(study: Path, fake_slurm: FakeSlurm) -> None:
    launch = plan(study, "--on", "slurm", "--partition", "gpu", "--json")["launch"]
    assert (launch["on"], launch["runs"], launch["arrays"], launch["side_by_side"]) == ("slurm", 6, [6], 6)
    assert launch["sbatch"]["partition"] == "gpu"
    assert "device_hours" not in launch


def test_hours_add_up(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs of two hours and three of one, over two slots: nine hours of work, four and a half of waiting."""
    hours = {"attention": 2, "none": 1}
    monkeypatch.setattr(probing, "probe", lambda run, _: Probe(1.0, 3600 * hours[run.mixer], "cpu"))
    launch = plan(study, "--jobs", "2", "--probe", "--json")["launch"]
    assert (launch["device_hours"], launch["wall_hours"]) == (9, 4.5)
    shown = plan(study, "--jobs", "2", "--probe")
    assert "probe: none: 1e+03 ms per step, 3,600 steps per run" in shown
    assert "9.0 h on one device, at least 4.5 h as planned" in shown
    assert plan(study, "--jobs", "6", "--probe", "--json")["launch"]["wall_hours"] == 2, "the longest run"


@pytest.mark.parametrize("batch_size", [64, 1024], ids=["epochs of many steps", "epochs of one step"])
def test_a_probe_takes_real_steps_and_writes_nothing(
    batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = TINY.replace(batch_size=batch_size, epochs=100)
    found = probe(run, Resources())
    assert found.steps == 100 * (1149 // batch_size)
    assert 0 < found.step_s < 5
    assert found.hours == pytest.approx(found.step_s * found.steps / 3600)
    assert not list(tmp_path.iterdir())
