"""The processes of a group: each has its rank, and they end together."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablate.dispatch import process_group

PLACES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def run_group(code: str, folder: Path) -> int:
    """Run code in two processes; FOLDER is a folder and RANK the rank."""
    start = f"import os, sys, time, signal; FOLDER = {str(folder)!r}; RANK = int(os.environ['RANK'])\n"
    return process_group.run_group([sys.executable, "-c", start + code], "a text", 2)


def test_each_member_has_its_rank_and_reads_the_text(tmp_path: Path) -> None:
    code = f"open(f'{{FOLDER}}/{{RANK}}', 'w').write(sys.stdin.read() + ' '.join(os.environ[n] for n in {PLACES}))"
    assert run_group(code, tmp_path) == 0
    assert (tmp_path / "0").read_text() == "a text0 0 2 2 127.0.0.1"
    assert (tmp_path / "1").read_text() == "a text1 1 2 2 127.0.0.1"


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL)]
)
def test_one_failed_member_ends_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, code: int) -> None:
    monkeypatch.setattr(process_group, "GRACE_S", 0.2)
    outlive = "(time.sleep(600), open(f'{FOLDER}/outlived', 'w'))"
    assert run_group(f"{outlive} if RANK == 0 else {end}", tmp_path) == code
    assert not list(tmp_path.iterdir()), "the first member was ended"


def test_a_signal_reaches_every_member(tmp_path: Path) -> None:
    """The first member signals its parent; the forwarded signal ends both."""
    code = """
def end(*_):
    open(f"{FOLDER}/{RANK}", "w").close()
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
open(f"{FOLDER}/ready{RANK}", "w").close()
while not all(os.path.exists(f"{FOLDER}/ready{rank}") for rank in range(2)):
    time.sleep(0.01)
if RANK == 0:
    os.kill(os.getppid(), signal.SIGTERM)
for _ in range(60_000):
    time.sleep(0.01)
"""
    assert run_group(code, tmp_path) == 5
    assert (tmp_path / "0").exists()
    assert (tmp_path / "1").exists()


def test_a_member_that_is_done_waits_for_the_other(tmp_path: Path) -> None:
    assert run_group("time.sleep(0.5 * RANK); open(f'{FOLDER}/{RANK}', 'w').close()", tmp_path) == 0
    assert (tmp_path / "1").exists()
