"""`ablate run`, killed three times: the same command finishes, with the records of an undisturbed launch."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import detach, lease, worker
from ablate.dispatch.ledger import Launches
from ablate.dispatch.notes import failure_of
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from tests import processes
from tests.dispatch.test_chaos import processes_of

pytestmark = pytest.mark.slow

STUDY = '''"""Two runs that take a moment."""
from ablate import Scale, Study

study = Study(
    question="Does it resume?",
    axes={"mixer": ["attention", "none"]},
    scales={"tiny": Scale({"dim": 16, "depth": 2, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 12,
                           "batch_size": 128, "pool": "avg", "holdout": 0.2, "drop": 0.1, "ema": 0.9})},
    seeds=1,
)
'''
OFTEN = "0.001"  # minutes between two checkpoints
Numbers = dict[str, tuple[object, object]]


def numbers(root: Root) -> Numbers:
    return {record.key: (record.metrics, record.history) for record in records.read_all(root.results)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "moment.py"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def undisturbed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    root = Root(tmp_path_factory.mktemp("undisturbed"))
    runs = load(study).runs()
    for run in runs:
        worker.request(root, run, Resources())
    worker.work(str(root.path), [run.key for run in runs], "alone")
    return numbers(root)


class Command:
    """One `ablate run`, started in one of three ways.

    Args:
        how: "inline", "local" or "detached".
    """

    def __init__(self, how: str, study: Path, root: Root) -> None:
        words = ["run", str(study), "--root", str(root.path), "--jobs", "1", "--checkpoint-minutes", OFTEN]
        self.process = None
        if how == "detached":
            assert CliRunner().invoke(app, [*words, "--detach"]).exit_code == 0
        else:
            self.process = processes.start_ablate([*words, "--on", how])

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive() if self.process else detach.STARTED[-1].poll() is None

    def end(self) -> int:
        """Wait for it, and return its exit code."""
        return processes.end(self.process)[0] if self.process else detach.STARTED[-1].wait(processes.LIMIT_S)


def steps(root: Root, runs: list[Run]) -> int:
    """Return the number of steps in checkpoints and records."""
    found = 0
    for run in runs:
        names = [path.stem for path in (root.run_folder(run.key) / "checkpoints").glob("[!.]*.pt")]
        done = records.path_of(root.results, run).exists()
        found += 10_000 if done else max((int(name.split("-")[1]) for name in names), default=0)
    return found


def kill_all(root: Root) -> None:
    """Kill every worker that holds a run, and its parent."""
    launches = Launches(root)
    launches.refresh()
    owners = [launch.owner for launch in launches.all()]
    owners += [held.owner for folder in root.runs.iterdir() if (held := lease.current(folder)) and held.alive]
    for owner in owners:
        if owner and owner.is_alive:
            with suppress(ProcessLookupError):
                os.kill(owner.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "ways",
    [["inline"] * 4, ["local"] * 4, [*["detached"] * 3, "local"], ["inline", "local", "detached", "inline"]],
    ids=["inline", "locally", "detached", "mixed"],
)
def test_killed_three_times_the_same_command_finishes(
    study: Path, root: Root, undisturbed: Numbers, ways: list[str]
) -> None:
    runs = load(study).runs()
    for how in ways[:-1]:
        before = steps(root, runs)
        command = Command(how, study, root)
        processes.wait_for(lambda b=before, c=command: steps(root, runs) > b or not c.alive(), "checkpoints")
        kill_all(root)
        assert command.end() == -signal.SIGKILL
    assert len(numbers(root)) < len(runs), "it ended before it could be killed"
    assert Command(ways[-1], study, root).end() == 0
    assert numbers(root) == undisturbed
    assert len(list(root.results.rglob("*.json"))) == len(runs)
    assert not any(held.alive for held in map(lease.current, root.runs.iterdir()) if held)
    assert not any(failure_of(folder) for folder in root.runs.iterdir())
    logs = "".join((root.run_folder(run.key) / "log.txt").read_text() for run in runs)
    assert "resuming from" in logs
    assert not list(processes_of(root))
