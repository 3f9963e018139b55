"""Peak memory of each run, also when a process trains several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ablate.train import memory
from ablate.train.memory import peak

CPU = torch.device("cpu")


def during(mebibytes: int) -> float:
    with peak(CPU) as found:
        np.ones(mebibytes * memory.MIB, np.uint8).sum()
    if found["peak_memory_mib"] is None:
        pytest.skip("this kernel does not tell the peak")
    return found["peak_memory_mib"]


def test_a_peak_is_seen_and_forgotten_by_the_next_block() -> None:
    before, high, after = during(1), during(200), during(1)
    assert high > before + 150
    assert after < high - 150


def test_a_kernel_that_cannot_tell_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SELF", tmp_path / "nowhere")
    with peak(CPU) as found:
        pass
    assert found == {"peak_memory_mib": None}


def test_the_high_water_mark_is_read_in_mebibytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clear_refs").touch()
    (tmp_path / "status").write_text("Name:\tx\nVmPeak:\t 999 kB\nVmHWM:\t  2048 kB\n")
    monkeypatch.setattr(memory, "SELF", tmp_path)
    with peak(CPU) as found:
        assert found == {}
    assert found == {"peak_memory_mib": 2.0}
    assert (tmp_path / "clear_refs").read_text() == "5"
