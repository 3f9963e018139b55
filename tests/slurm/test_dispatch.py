"""Studies on a real Slurm: through arrays, over a time limit, cancelled, killed, requeued, twice at once, in two tasks.

Whatever happens to a run, it ends with the record of an undisturbed one, and with one only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import lease, slurm, worker
from ablate.dispatch.status import StatusMonitor
from ablate.spec import sbatch
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests import small_imagenet
from tests.slurm.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("cluster")]

STUDY = '''"""Short runs."""
from ablate import Scale, Study

study = Study(
    question="Does it run?",
    axes={{"mixer": {mixers}}},
    scales={{"tiny": Scale({{"dim": 16, "depth": 2, "heads": 2, "image_size": 12, "patch_size": 4, "pool": "avg",
                           "epochs": {epochs}, "holdout": 0.2}})}},
    seeds={seeds},
)
'''
MIXERS = ("attention", "patch_ff", "pool", "none")
Numbers = tuple[dict[str, Any], list[dict[str, Any]]]


class Place:
    """A study in its own root, and commands about it."""

    def __init__(self, folder: Path, epochs: int, mixers: tuple[str, ...] = ("none",), seeds: int = 1) -> None:
        self.study, self.root = folder / "short.py", Root(folder)
        self.study.write_text(STUDY.format(mixers=list(mixers), epochs=epochs, seeds=seeds))
        self.runs = load(self.study).runs()

    def words(self, command: str, *more: str) -> list[str]:
        return [command, str(self.study), "--root", str(self.root.path), *more]

    def ablate(self, command: str, *more: str, code: int = 0) -> Any:
        """Return the JSON, else the text, that a command prints."""
        result = CliRunner().invoke(app, self.words(command, *more))
        assert result.exit_code == code, result.output
        return orjson.loads(result.stdout) if "--json" in more else result.stdout

    def submit(self, *more: str) -> list[str]:
        """Submit the study, and return the ids of its jobs."""
        started = self.ablate("run", "--on", "slurm", "--device", "cpu", "--minutes", "5", "--json", *more)
        return list(started["jobs"])

    def states(self) -> list[str]:
        result = CliRunner().invoke(app, self.words("status", "--json"))
        return [one["state"] for one in orjson.loads(result.stdout)]

    def epoch(self, run: Run) -> int:
        path = self.root.run_folder(run.key) / "progress.json"
        return int(orjson.loads(path.read_bytes())["epoch"]) if path.exists() else 0

    def log(self, run: Run) -> str:
        return (self.root.run_folder(run.key) / "log.txt").read_text()

    def numbers(self) -> dict[str, Numbers]:
        return {record.key: (record.metrics, record.history) for record in records.read_all(self.root.results)}

    def holders(self) -> list[lease.LeaseInfo]:
        held = [lease.current(folder) for folder in self.root.runs.iterdir()]
        return [one for one in held if one is not None and one.alive]


def undisturbed(folder: Path, runs: list[Run]) -> dict[str, Numbers]:
    """Return the results of the runs, trained one after the other in this process."""
    root = Root(folder)
    for run in runs:
        worker.request(root, run, Resources(device="cpu"))
    worker.work(str(folder), [run.key for run in runs], "undisturbed")
    return {record.key: (record.metrics, record.history) for record in records.read_all(root.results)}


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, subprocess.run(["squeue"], capture_output=True, text=True).stdout
        time.sleep(0.2)


def jobs() -> dict[str, slurm.Job]:
    """Return Slurm's queue."""
    found = slurm.Queue().jobs()
    assert found is not None
    return found


def call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Numbers]:
    return undisturbed(tmp_path_factory.mktemp("eight"), Place(tmp_path_factory.mktemp("plan"), 3, MIXERS, 2).runs)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Numbers]:
    """Return the results of the run that is long enough to be disturbed."""
    return undisturbed(tmp_path_factory.mktemp("long"), Place(tmp_path_factory.mktemp("plan"), 120).runs)


def test_a_study_goes_through_arrays(tmp_path: Path, eight: dict[str, Numbers], cluster: Cluster) -> None:
    """Eight runs in two arrays, the longest that this cluster accepts, with a limited number of jobs."""
    place = Place(tmp_path, 3, MIXERS, 2)
    ids = place.submit("--jobs", "3")
    arrays = [name.partition("_")[0] for name in ids]
    assert sorted(map(arrays.count, set(arrays))) == [2, 6]
    assert set(place.states()) <= {"queued", "running"}
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, sum(one.state == "RUNNING" for one in jobs().values()))
        return place.states() == ["done"] * 8

    until(done)
    assert 2 <= most <= 3
    assert place.numbers() == eight
    assert all(place.log(run).count(f"run {run.key}, ") == 1 for run in place.runs)
    assert not place.holders()


def test_a_job_that_reaches_its_limit_is_resumed_by_the_next(
    tmp_path: Path, long: dict[str, Numbers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own clock writes a checkpoint and requeues it before Slurm would end it."""
    # Of three minutes, half for its start and its first epoch, half for its end.
    monkeypatch.setenv("ABLATE_MARGIN_S", "90")
    place = Place(tmp_path, 120)
    (name,) = place.submit("--minutes", "3")
    until(lambda: place.epoch(place.runs[0]) >= 1)
    (holder,) = place.holders()
    assert holder.owner is not None
    # However fast the machine is, it must not be done before the clock strikes.
    os.kill(holder.owner.pid, signal.SIGSTOP)
    until(lambda: (slurm.seconds_left(name) or 180) < 85)
    os.kill(holder.owner.pid, signal.SIGCONT)
    until(lambda: any(one.restarts == 1 for one in jobs().values() if one.id == name))
    assert place.states() == ["queued"]
    call("scontrol", "update", f"JobId={name}", "TimeLimit=5")
    until(lambda: place.states() == ["done"])
    assert "resuming from" in place.log(place.runs[0])
    assert place.numbers() == long


def test_a_job_cancelled_with_scancel_is_lost(tmp_path: Path, long: dict[str, Numbers]) -> None:
    place = Place(tmp_path, 120)
    (name,) = place.submit()
    until(lambda: place.epoch(place.runs[0]) >= 1)
    call("scancel", name)
    until(lambda: place.states() == ["lost"])
    shown = place.ablate("status", code=1)
    assert f"Slurm job {name} ended: CANCELLED" in shown
    assert not place.holders()
    place.submit()
    until(lambda: place.states() == ["done"])
    assert "resuming from" in place.log(place.runs[0]), "Slurm's SIGTERM was answered by a checkpoint"
    assert place.numbers() == long


def test_a_killed_job_is_retried_by_the_supervisor(tmp_path: Path, long: dict[str, Numbers]) -> None:
    place = Place(tmp_path, 120)
    more = ["--on", "slurm", "--device", "cpu", "--minutes", "5", "--no-detach", "--max-retries", "1"]
    with open(tmp_path / "out.txt", "wb") as out:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "ablate", *place.words("run", *more)], stdout=out, stderr=out
        )
    until(lambda: place.epoch(place.runs[0]) >= 1)
    (holder,) = place.holders()
    assert holder.owner is not None
    os.kill(holder.owner.pid, signal.SIGKILL)
    assert launcher.wait(timeout=300) == 0, (tmp_path / "out.txt").read_text()
    output = (tmp_path / "out.txt").read_text()
    assert f"Slurm job {holder.owner.job} ended: FAILED" in output
    assert place.numbers() == long
    assert place.log(place.runs[0]).count(f"run {place.runs[0].key}, ") == 2


def test_a_job_requeued_with_scontrol_resumes_from_its_checkpoint(tmp_path: Path, long: dict[str, Numbers]) -> None:
    place = Place(tmp_path, 120)
    (name,) = place.submit()
    until(lambda: place.epoch(place.runs[0]) >= 1)
    call("scontrol", "requeue", name)
    until(lambda: place.states() == ["queued"])
    until(lambda: place.states() == ["done"])
    assert "resuming from" in place.log(place.runs[0])
    assert place.numbers() == long


def test_two_launchers_at_once_train_each_run_once(tmp_path: Path, eight: dict[str, Numbers]) -> None:
    place = Place(tmp_path, 3, MIXERS, 1)
    words = place.words("run", "--on", "slurm", "--device", "cpu", "--minutes", "5", "--runs-per-job", "2", "--json")
    both = [subprocess.Popen([sys.executable, "-m", "ablate", *words], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    for process in both:
        assert process.stdout
        process.stdout.close()
    until(lambda: place.states() == ["done"] * 4)
    until(lambda: not any(one.live for one in jobs().values()))
    assert place.numbers() == {run.key: eight[run.key] for run in place.runs}
    assert all(place.log(run).count(f"run {run.key}, ") == 1 for run in place.runs)


def test_short_runs_share_jobs(tmp_path: Path, eight: dict[str, Numbers]) -> None:
    """Their time limit follows from what they take; the root has characters that mean something to Slurm and shells."""
    folder = tmp_path / "100% of 'it'"
    folder.mkdir()
    place = Place(folder, 3, MIXERS, 2)
    first, second = place.submit("--minutes", "0", "--run-minutes", "2")
    shown = subprocess.run(["scontrol", "show", "job", first], capture_output=True, text=True, check=True).stdout
    assert "TimeLimit=00:20:00" in shown, "1.5 times five runs of two minutes, and five for the start"
    until(lambda: place.states() == ["done"] * 8)
    assert place.numbers() == eight
    logs = [path.name for path in folder.rglob("*_log.out")]
    assert sorted(logs) == sorted(f"{job}_0_log.out" for job in (first, second))
    assert place.ablate("run", "--on", "slurm", "--json")["runs"], "nothing is left to submit"


def test_a_killed_job_leaves_the_runs_that_it_did_not_try(tmp_path: Path) -> None:
    """The supervisor submits them again; only the run that was in training has failed."""
    place = Place(tmp_path, 40, ("none", "pool"))
    more = ["--on", "slurm", "--device", "cpu", "--minutes", "5", "--runs-per-job", "2", "--no-detach"]
    with open(tmp_path / "out.txt", "wb") as out:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "ablate", *place.words("run", *more)], stdout=out, stderr=out
        )
    until(lambda: place.epoch(place.runs[0]) >= 1)
    (holder,) = place.holders()
    assert holder.owner is not None
    os.kill(holder.owner.pid, signal.SIGKILL)
    assert launcher.wait(timeout=300) == 1, (tmp_path / "out.txt").read_text()
    assert place.states() == ["failed", "done"]


def test_two_tasks_train_one_run_together(tmp_path: Path) -> None:
    place = Place(tmp_path, 3)
    place.submit("--gpus-per-run", "2")
    until(lambda: place.states() == ["done"])
    (record,) = records.read_all(place.root.results)
    assert record.metrics["n"] == 360, "every test image once, over both processes"
    assert len(record.history) == 3
    assert record.provenance["resources"]["gpus_per_run"] == 2
    assert (place.root.run_folder(record.key) / "log.1.txt").exists(), "the second process has a log of its own"


def test_the_papers_models_on_a_folder_laid_out_as_imagenet(tmp_path: Path) -> None:
    """All in one job of two tasks, in small; the records are checked as in the test without Slurm."""
    folder, study, root = small_imagenet.folder(tmp_path / "in1k"), small_imagenet.study_in(tmp_path), Root(tmp_path)
    words = ["run", str(study), "--root", str(tmp_path), "--data", f"imagenet={folder}", "--on", "slurm"]
    how = ["--device", "cpu", "--gpus-per-run", "2", "--workers", "1", "--minutes", "5", "--runs-per-job", "7"]
    result = CliRunner().invoke(app, [*words, *how])
    assert result.exit_code == 0, result.output
    runs = load(study).runs()
    until(lambda: {status.state for status in StatusMonitor(root, runs).poll()} == {"done"})
    small_imagenet.assert_complete(root, load(study))


def test_cancel_ends_jobs_and_frees_the_runs(tmp_path: Path) -> None:
    place = Place(tmp_path, 120, ("none", "pool"), 1)
    ids = place.submit("--jobs", "1")
    until(lambda: place.epoch(place.runs[0]) >= 1)
    assert place.states() == ["running", "queued"]
    output = place.ablate("cancel")
    assert output.startswith("cancelled: 2 runs, 2 jobs")
    until(lambda: not any(one.live for name, one in jobs().items() if name in ids), 30)
    assert place.states() == ["waiting"] * 2
    assert not place.holders()
    assert not records.index(place.root.results)


def test_a_rejected_job_is_a_sentence(tmp_path: Path) -> None:
    place = Place(tmp_path, 3)
    result = CliRunner().invoke(app, place.words("run", "--on", "slurm", "--partition", "nowhere"))
    assert result.exit_code == 2
    assert result.stderr.startswith("ablate: Slurm rejected the jobs: ")
    assert "invalid partition" in result.stderr
    assert place.states() == ["waiting"]


def test_sbatch_knows_the_options_we_offer() -> None:
    """A few belong to newer or older versions."""
    shown = subprocess.run(["sbatch", "--help"], capture_output=True, text=True, check=True).stdout
    unknown = {name for name in [*sbatch.OPTIONS, *sbatch.OWN] if f"--{name}" not in shown}
    unlisted = {"open-mode", "ntasks-per-gpu"}  # accepted, and missing in the help of some versions
    newer = {"hint", "mem-bind", "network", "prefer", "tres-bind", "tres-per-task", "wait-all-nodes", "x11"}
    assert unknown <= unlisted | newer
