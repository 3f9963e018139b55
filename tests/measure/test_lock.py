"""Two sessions on one device: the second is refused in a sentence, whatever became of the first it may go on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.measure.lock import alone
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from tests.measure.fake import FakeWorkers
from tests.measure.small import found, run

HOLD = """
import sys
from pathlib import Path
from ablate.measure.lock import alone
with alone(Path(sys.argv[1]), "cpu", "A CPU"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(root: Root) -> Iterator[subprocess.Popen[str]]:
    """Another process that measures under the same root."""
    command = [sys.executable, "-c", HOLD, str(root.runs / "speed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_session_is_refused_and_leaves_no_worker(root: Root, other: subprocess.Popen[str]) -> None:
    fleet = FakeWorkers()
    reason = "two at once would slow each other down; wait until it has ended"
    told = f"process {other.pid} is measuring on A CPU, and {reason}"
    with pytest.raises(SpecError, match=f"^{told}$"):
        run(root, fleet)
    assert fleet.alive == 0
    assert fleet.windows() == []
    assert found(root) == {}


def test_where_the_first_was_killed_the_second_goes_on(root: Root, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    run(root, FakeWorkers())
    assert found(root)["none inference 64"].complete


def test_devices_do_not_keep_each_other_waiting(tmp_path: Path) -> None:
    refused = pytest.raises(SpecError, match="is measuring on this one")
    with (
        alone(tmp_path, "GPU-1", "A GPU"),
        alone(tmp_path, "GPU-2", "A GPU"),
        refused,
        alone(tmp_path, "GPU-1", "this one"),
    ):
        pass
    with alone(tmp_path, "GPU-1", "A GPU"):
        pass
