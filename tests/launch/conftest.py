"""Fixtures of the launcher's tests."""

from __future__ import annotations

import pytest

from ablate import slurm
from ablate.slurm import Queue
from tests.launch.fake_slurm import FakeSlurm


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A fake cluster that Slurm's commands are answered by, without a pause between two questions."""
    found = FakeSlurm()
    monkeypatch.setattr(slurm, "call", found.call)
    monkeypatch.setattr(slurm, "QUEUE", Queue())
    monkeypatch.setattr(slurm, "ASK_EVERY_S", 0.0)
    return found
