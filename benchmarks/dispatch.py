"""The overhead of dispatch: empty runs through real workers, and a thousand through a fake Slurm.

    python benchmarks/dispatch.py [RUNS]

First, RUNS (20 by default) runs without training time use two slots of this machine; it prints the wall time, and the
time to start Python twice. Then 1,000 runs are planned, submitted and shown against a cluster in this process.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ablate.dispatch import launch, slurm
from ablate.dispatch.display import counts, labels_of, open_console, screen
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.local_pool import LocalPool
from ablate.dispatch.slots import Local
from ablate.dispatch.slurm_pool import SlurmPool
from ablate.dispatch.status import StatusMonitor
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.study.study import Scale, Study
from tests.fake_slurm import FakeSlurm

SLOTS = 2
WORKER = """
import sys
from ablate.dispatch import process_group, worker
from tests import synthetic

worker.execute = lambda run, *_: synthetic.record(run)

sys.exit(process_group.main(sys.argv[1:], __import__("json").load(sys.stdin)))
"""


class Idle(Local):
    """Workers of this machine whose runs take no time."""

    def command(self, name: str) -> list[str]:
        """Start a worker that does not train."""
        return [sys.executable, "-c", WORKER, str(self.root.path), name, "1"]


def study(count: int) -> Study:
    """Return a study with a number of runs, ten seeds each."""
    fields = {"dim": 16, "depth": 1, "heads": 2, "image_size": 12, "patch_size": 4, "epochs": 1, "pool": "avg"}
    rates = [1e-3 * (1 + step) for step in range(count // 10)]
    return Study(question="What does dispatch cost?", axes={"lr": rates}, scales={"none": Scale(fields)}, seeds=10)


def over_slots(count: int) -> None:
    """Time empty runs through real workers."""
    with tempfile.TemporaryDirectory() as folder:
        root, runs = Root(Path(folder)), study(count).runs()
        monitor = StatusMonitor(root, runs)
        launch.prepare(root, monitor, Resources())
        ledger = Ledger(root, "local", [run.key for run in runs])
        fleet = LocalPool(Idle(root, Resources(), ledger.launch.logs), ledger.launch.name, SLOTS)
        started, first = time.perf_counter(), []

        def show(statuses: list[Any]) -> None:
            if not first and any(status.state == "done" for status in statuses):
                first.append(time.perf_counter() - started)

        statuses = launch.launch(root, monitor, fleet, ledger, show)
        took = time.perf_counter() - started
    assert all(status.state == "done" for status in statuses)
    print(f"{count} runs that do nothing, {SLOTS} slots: {took:.2f} s, the first seen after {first[0]:.2f} s", end="")
    print(f"; {1000 * (took - first[0]) / count:.1f} ms a run from then on")


def thousand(count: int = 1000) -> None:
    """Time planning, submitting and showing runs on a cluster in this process."""
    cluster = FakeSlurm()
    slurm.call, slurm.QUEUE = cluster.call, slurm.Queue()
    with tempfile.TemporaryDirectory() as folder:
        root, asked = Root(Path(folder)), study(count)
        runs: list[Run] = []
        measured("planned", lambda: runs.extend(asked.runs()))
        monitor = StatusMonitor(root, runs)
        measured("requests written", lambda: launch.prepare(root, monitor, Resources()))
        ledger = Ledger(root, "slurm", [run.key for run in runs])
        batch = SlurmPool(root, Resources(), ledger, submit=cluster.submit)
        measured("submitted", lambda: batch.fill(monitor.poll()))
        labels = labels_of(asked, "none", runs)

        def show() -> None:
            statuses = monitor.poll()
            with redirect_stdout(StringIO()):
                console = open_console(sys.stdout)
                for part in [*screen(statuses, labels, console), counts(statuses)]:
                    console.print(part)

        measured("shown", show)


def measured(what: str, call: Callable[[], Any]) -> None:
    """Print how long a call took."""
    started = time.perf_counter()
    call()
    print(f"1,000 runs {what}: {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    version = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    load = os.getloadavg()[0]
    print(f"{platform.system()} {version}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    over_slots(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    thousand()
