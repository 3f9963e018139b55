"""A launch in the background: started, watched, followed, cancelled and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ablate import load
from ablate.cli import app
from ablate.dispatch import detach, lease
from ablate.store import records
from ablate.store.root import Root
from tests.dispatch.test_chaos import processes_of
from tests.processes import LIMIT_S, wait_for

pytestmark = pytest.mark.slow

STUDY = '''"""A study that takes a while."""
from ablate import Scale, Study

study = Study(
    question="Does it run?",
    axes={"mixer": ["attention", "none"]},
    scales={"tiny": Scale({"dim": 16, "depth": 2, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 60,
                           "pool": "avg", "holdout": 0.2})},
    seeds=1,
)
'''


class Place:
    """A study in a root of its own, and the commands about it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = folder / "while.py", Root(folder)
        self.path.write_text(STUDY)
        self.runs = load(self.path).runs()

    def words(self, command: str, *more: str) -> list[str]:
        return [command, str(self.path), "--root", str(self.root.path), *more]

    def call(self, command: str, *more: str) -> str:
        result = CliRunner().invoke(app, self.words(command, *more))
        assert result.exit_code in (0, 1), result.output
        return result.stdout

    def states(self) -> list[str]:
        return [one["state"] for one in orjson.loads(self.call("status", "--json"))]

    def epoch(self) -> int:
        path = self.root.run_folder(self.runs[0].key) / "progress.json"
        return int(orjson.loads(path.read_bytes())["epoch"]) if path.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_from_start_to_end_in_the_background(place: Place) -> None:
    started = orjson.loads(place.call("run", "--jobs", "1", "--detach", "--json"))
    wait_for(lambda: place.epoch() >= 1, "the end of the first epoch")
    (held,) = filter(None, map(lease.current, place.root.runs.iterdir()))
    assert held.owner
    os.kill(held.owner.pid, signal.SIGSTOP)  # so that it is not done before it is watched
    assert place.states() == ["running", "queued"]
    assert os.getsid(started["pid"]) == started["pid"], "a session of its own"
    watched(place)
    assert place.states()[0] == "running", "the runs continue when the display is stopped"
    os.kill(held.owner.pid, signal.SIGCONT)
    assert place.call("cancel") == "cancelled: 2 runs, 1 worker\n"
    assert place.states() == ["waiting", "waiting"]
    wait_for(lambda: not list(processes_of(place.root)), "the end of the processes")
    assert not any(held.alive for held in map(lease.current, place.root.runs.iterdir()) if held)
    assert not records.index(place.root.results)
    place.call("run", "--jobs", "2", "--detach")
    followed = CliRunner().invoke(app, ["logs", place.runs[0].key[:6], "-f", "--root", str(place.root.path)]).stdout
    assert "resuming from" in followed, "it was cancelled with a checkpoint"
    assert "done: test top-1" in followed
    wait_for(lambda: place.states() == ["done", "done"], "the end of the study")
    assert [process.wait(timeout=LIMIT_S) for process in detach.STARTED[-2:]] == [1, 0]
    assert not list(processes_of(place.root))


def listen() -> None:
    """Restore the handler of Ctrl-C, which a shell's `&` sets to be ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def watched(place: Place) -> None:
    """Watch the study for a moment, then stop with Ctrl-C."""
    command = [sys.executable, "-m", "ablate", *place.words("status", "--watch")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=listen) as watcher:
        assert watcher.stdout
        assert watcher.stdout.readline().startswith("running attention, seed 0")
        watcher.send_signal(signal.SIGINT)
        assert "stopped watching; the runs continue" in watcher.stdout.read()
        assert watcher.wait(timeout=LIMIT_S) == 0


def test_a_launch_that_cannot_start_gives_a_sentence(place: Place) -> None:
    result = CliRunner().invoke(app, place.words("run", "--detach", "--jobs", "0"))
    assert result.exit_code == 2
    assert "--jobs must be 1 or more, got 0" in result.stderr
