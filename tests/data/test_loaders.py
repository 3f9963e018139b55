"""Loader processes: what they deliver, and every way in which one cannot."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.data import loader_process, loaders
from ablate.data.loader_process import Result, no_beat
from ablate.data.loaders import Loader, LoaderError, RemoteError
from tests import processes
from tests.tiny import noise_folder

pytestmark = pytest.mark.usefixtures("one_thread")


class Numbers:
    """Images of one pixel, whose value is the item; some items do something else."""

    def __init__(self, act: Callable[[int], None] = lambda _: None) -> None:
        self.act = act
        self.beat: Callable[[], None] = no_beat

    def __getitem__(self, item: int) -> Result:
        self.act(item)
        self.beat()
        return torch.full((item % 3 + 1, 3, 1, 1), item, dtype=torch.uint8), [(item, "odd")] if item % 2 else []


def loader(act: Callable[[int], None] = lambda _: None, workers: int = 2, ahead: int = 1) -> Loader:
    return Loader(Numbers(act), workers, side=1, ahead=ahead)


def plain(results: Any) -> list[tuple[int, list[int], Any]]:
    return [(len(images), images.unique().tolist(), corrupt) for images, corrupt in results]


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """End the processes of loaders that the traceback of an expected error keeps."""
    yield
    for child in multiprocessing.active_children():
        child.kill()
        child.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let patience end within a fraction of a second."""
    monkeypatch.setattr(loaders, "POLL_S", 0.05)


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (2, 1), (3, 500)])
def test_results_come_in_order_however_many_prepare_them(workers: int, ahead: int) -> None:
    many, alone = loader(workers=workers, ahead=ahead), loader(workers=0)
    for items in (range(100), range(3), range(0), range(50, 90)):
        assert plain(many(items)) == plain(alone(items))


def test_the_rest_of_a_list_is_dropped() -> None:
    one = loader()
    left = one(range(50))
    next(left)
    assert [images.unique().item() for images, _ in one([7, 8])] == [7, 8]


def test_an_error_keeps_its_type_and_its_traceback() -> None:
    def fail(item: int) -> None:
        if item == 3:
            raise MemoryError(f"item {item}")

    results = loader(fail)(range(9))
    with pytest.raises(MemoryError, match="item 3") as raised:
        plain(results)
    assert isinstance(raised.value.__cause__, RemoteError)
    assert "in fail" in str(raised.value.__cause__)


def test_an_error_that_cannot_be_sent_says_the_same() -> None:
    class OwnError(Exception):
        """Only this function knows it."""

    def fail(_: int) -> None:
        raise OwnError("its words")

    with pytest.raises(RuntimeError, match="OwnError: its words"):
        plain(loader(fail)([1]))


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, r"SIGKILL; often"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_lost_process_ends_the_wait(number: int, words: str) -> None:
    def end(item: int) -> None:
        if item == 5:
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    with pytest.raises(LoaderError, match=rf"a loader process was lost \(signal {words}"):
        plain(loader(end)(range(20)))


def test_a_process_that_is_lost_while_nobody_waits_is_told_at_the_next_item() -> None:
    one = loader()
    plain(one(range(4)))
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    with pytest.raises(LoaderError, match="SIGKILL"):
        plain(one(range(4)))


@pytest.mark.usefixtures("quick")
def test_a_stopped_process_ends_the_wait() -> None:
    def stop(item: int) -> None:
        if item == 5:
            os.kill(os.getpid(), signal.SIGSTOP)

    with pytest.raises(LoaderError, match="delivered no image for"):
        plain(loader(stop)(range(20)))


@pytest.mark.usefixtures("quick")
def test_a_process_that_waits_for_a_file_ends_the_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    with pytest.raises(LoaderError, match="delivered no image for"):
        plain(loader(lambda _: (tmp_path / "never").read_text() and None)([1]))


@pytest.mark.parametrize("stuck", [1, 99])
def test_a_process_that_does_not_start_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stuck: int
) -> None:
    """As one does that was forked while another thread held a lock."""
    begun = tmp_path / "begun"

    def hang() -> None:
        with begun.open("ab") as file:
            file.write(b".")
        if begun.stat().st_size <= stuck:
            signal.pause()

    monkeypatch.setattr(loader_process, "_ignore_signals", hang)
    monkeypatch.setattr(loaders, "POLL_S", 0.2)
    one = loader(workers=1)
    if stuck == 1:
        assert [images.unique().item() for images, _ in one([7, 8])] == [7, 8]
        assert "was not ready" in caplog.text
    else:
        with pytest.raises(LoaderError, match="did not start within 2 s"):
            plain(one([7]))
        assert begun.stat().st_size == 3


def test_a_slow_process_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes far longer than the patience, but shows a new image between two polls."""
    monkeypatch.setattr(loaders, "POLL_S", 0.5)
    monkeypatch.setattr(loaders, "QUIET_POLLS", 2)
    slow = Numbers()

    def act(item: int) -> None:
        if item == 1:
            for _ in range(30):
                time.sleep(0.1)
                slow.beat()

    slow.act = act
    assert len(plain(Loader(slow, 1, side=1, ahead=1)([0, 1]))) == 2


@pytest.mark.usefixtures("quick")
def test_a_requested_stop_shortens_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "QUIET_POLLS", 10**9)
    one = loader(lambda _: threading.Event().wait() and None)
    with pytest.raises(LoaderError, match="delivered no image"):
        plain(one([1], lambda: True))


def test_memory_is_shared_with_a_process_that_is_started_afresh() -> None:
    memory = loader_process.SharedMemory(8)
    process = multiprocessing.get_context("forkserver").Process(target=fill, args=(memory,))
    process.start()
    assert processes.end(process) == [0]
    assert memory.bytes.tolist() == [7] * 8


def fill(memory: loader_process.SharedMemory) -> None:
    memory.bytes.fill_(7)


WITHOUT = """
import sys, torch
from pathlib import Path
from ablate.data.datasets import _directory
from ablate.data.workers import FromFiles
from ablate.spec.resources import Resources
from ablate.spec.run import Run
run = Run(dataset="mine", batch_size=64, holdout=0.0, image_size=96, patch_size=16, loader="workers")
images = FromFiles(run, _directory.load(run, Path(sys.argv[1])), torch.device("cpu"), Resources(workers=2))
print(sum(float(batch.sum()) for batch, _ in images.training(0)))
"""


def test_a_container_with_little_shared_memory_and_a_long_temporary_folder(tmp_path: Path) -> None:
    """A batch needs 1.7 MB, and /dev/shm has 64 kB where this user may mount it so."""
    folder = noise_folder(tmp_path / "images", 32, 1)
    long = tmp_path / ("t" * 144)
    long.mkdir()
    command = [sys.executable, "-c", WITHOUT, str(folder)]
    unshare = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
        command = [*unshare, *command]
    found = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(long)}, capture_output=True, text=True, check=False, timeout=300
    )
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) != 0


def test_what_is_sent_fits_into_a_pipe() -> None:
    """A message of every item ahead is smaller than the 64 kB that a pipe holds when nobody reads."""
    samples = torch.full((loader_process.ITEM, 2), 2**40)
    assert loaders.MOST_AHEAD * (len(pickle.dumps((10**6, (10**6, samples)))) + 4) < 2**16
