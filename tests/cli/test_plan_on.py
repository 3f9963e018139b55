"""What a plan shows of a launch: where runs would train, in how many jobs, for how long."""

from __future__ import annotations

from dataclasses import asdict
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
from ablate.store import cache, records
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
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return its file; probes of other tests are not remembered."""
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
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
    assert (
        "slurm: 6 jobs in 2 arrays (4 + 2), 3 side by side; each 1 node with 1 process and a limit of 30 minutes"
        in shown
    )
    shown = plan(study, "--on", "slurm", "--runs-per-job", "6", "--gpus-per-run", "4", "--nodes", "2")
    assert "slurm: 1 job, 1 side by side; each 2 nodes with 4 processes and the partition's time limit" in shown


def test_short_runs_share_jobs(study: Path, fake_slurm: FakeSlurm) -> None:
    """Of three seeds each: a record gives the time of attention, a probe that of none."""
    slow, fast = load(study).runs()[0], load(study).runs()[-1]
    records.write(study.parent / "results", synthetic.record(slow, cost={"total_s": 240.0}))
    cache.write_note("probes", fast.replace(seed=0).key, asdict(Probe(1.0, 60, "cpu")))
    shown = plan(study, "--on", "slurm")
    assert "slurm: 2 jobs, 2 side by side; each 1 node with 1 process and a limit of 20 minutes\n" in shown
    times = "times from a probe on cpu, records on Synthetic CPU"
    assert f"jobs × runs × minutes: 1 × 4 × about 10, 1 × 1 × about 1; {times}\n" in shown
    assert "not known" not in shown
    launch = plan(study, "--on", "slurm", "--json")["launch"]
    assert [(len(job["runs"]), job["minutes"]) for job in launch["jobs"]] == [(4, 10), (1, 1)]
    assert launch["sbatch"]["time"] == 20
    assert "slurm: 5 jobs" in plan(study, "--on", "slurm", "--minutes-per-job", "0")


def test_runs_of_unknown_length_have_a_job_each(study: Path, fake_slurm: FakeSlurm) -> None:
    shown = plan(study, "--on", "slurm")
    assert "slurm: 6 jobs" in shown
    assert "jobs × runs × minutes: 6 × 1 × unknown\nhow long 6 runs will take is not known" in shown
    assert "1 × 6 × about 9" in plan(study, "--on", "slurm", "--run-minutes", "1.5")


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
