"""Curves for TensorBoard: their values and steps, and the message if it is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ablate.dispatch import worker
from ablate.dispatch.notes import failure_of
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.store.root import Root
from ablate.train.tensorboard import Board
from tests.tiny import TINY


def curves(folder: Path) -> dict[str, list[int]]:
    """The steps of each curve."""
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {name: [point.step for point in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_a_run_leaves_its_curves(root: Root) -> None:
    pytest.importorskip("tensorboard")
    worker.request(root, TINY, Resources(tensorboard=True, checkpoint_minutes=0))
    worker.work(str(root.path), [TINY.key], "worker")
    found = curves(root.run_folder(TINY.key))
    assert found["train_loss"] == found["heldout_top1"] == found["lr"] == [4, 8]
    assert found["loss"] == found["images_per_s"] == list(range(1, 9))


def test_no_curves_by_default(root: Root) -> None:
    worker.request(root, TINY, Resources())
    worker.work(str(root.path), [TINY.key], "worker")
    assert not (root.run_folder(TINY.key) / "tensorboard").exists()


def test_a_missing_installation_is_reported(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("torch.utils.tensorboard", "tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SpecError, match="TensorBoard is not installed; run pip install tensorboard"):
        Board(root.path)
    worker.request(root, TINY, Resources(tensorboard=True))
    worker.work(str(root.path), [TINY.key], "worker")
    assert (failure_of(root.run_folder(TINY.key)) or {})["error"].startswith("TensorBoard is not installed")
