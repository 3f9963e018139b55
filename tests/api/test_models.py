"""Speed and evaluation from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import ablate
from ablate.measure.process import Start
from ablate.measure.protocol import Mode
from ablate.measure.session import Session
from tests.measure.fake import FakeWorkers
from tests.tiny import image_folder


def test_speeds_are_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWorkers()

    def processes(self: Session, mode: Mode) -> Start:
        return fake.start(mode)

    monkeypatch.setattr(Session, "_processes", processes)
    found = ablate.bench("quickstart", modes="fp32-eager", batches=[64, 1], quick=True, threads=1, root=tmp_path)
    assert list(found["variant"].unique()) == ["attention", "patch_ff", "none"]
    assert found.attrs == {"failures": [], "time_is_up": False}
    with pytest.raises(ablate.SpecError, match="batches must be whole numbers above 0"):
        ablate.bench("quickstart", batches=[0], root=tmp_path)
    with pytest.raises(ablate.SpecError, match="needs a study"):
        ablate.bench(root=tmp_path)


def test_a_timm_model_is_evaluated(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "colours", {"a": 2, "b": 2}, {"a": 9, "b": 9})
    found = ablate.evaluate("test_vit", f"colours={folder}")
    assert len(found.outcome.correct) == 18
    assert found.as_data()["top5"] == 100.0
    with pytest.raises(ablate.SpecError, match="unknown split 'tset'"):
        ablate.evaluate("test_vit", f"colours={folder}", split="tset")  # type: ignore[arg-type]
