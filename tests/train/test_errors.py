"""Explanations of failed runs: what failed, after how many steps, and what to try."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.data.images import GROUP
from ablate.data.loaders import LoaderError
from ablate.dispatch import worker
from ablate.dispatch.notes import failure_of
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.root import Root
from ablate.train.errors import DivergedError, explain
from tests.tiny import TINY, image_folder

STATE = {"epoch": 2, "step": 5, "steps": 10}


def explained(error: BaseException, run: Run = TINY, size: int = 1, **resources: Any) -> str:
    return explain(error, run, Resources(**resources), STATE, size)


def with_cause(error: BaseException, cause: BaseException) -> BaseException:
    error.__context__ = cause
    return error


FULL = OSError(errno.ENOSPC, "No space left on device", "/somewhere/x.pt")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DivergedError("the training loss of epoch 3 is nan"), "the training loss of epoch 3 is nan"),
        (SpecError("dim is 7"), "dim is 7"),
        (ValueError("this one"), "ValueError: this one"),
        (
            FULL,
            "the disk is full at /somewhere/x.pt, after 25 steps; free disk space or use another --root, then "
            "--retry-failed",
        ),
        (
            with_cause(RuntimeError("unexpected pos"), OSError(errno.EDQUOT, "Disk quota exceeded")),
            "the disk is full, after 25 steps; free disk space or use another --root, then --retry-failed",
        ),
        (
            MemoryError(),
            "the machine is out of memory, with 256 images in one forward pass, after 25 steps; try --micro-batch "
            "128, which gives the same result, then --retry-failed",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "the GPU is out of memory, with 256 images in one forward pass, after 25 steps; try --micro-batch 128, "
            "which gives the same result, then --retry-failed",
        ),
        (
            LoaderError("a loader process was lost (signal SIGKILL; often because of insufficient memory)"),
            "a loader process was lost (signal SIGKILL; often because of insufficient memory), "
            "after 25 steps; try --workers 2, then --retry-failed, which resumes from the newest checkpoint",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/a.png"),
            "a file is missing: /data/a.png, after 25 steps; restore it, then --retry-failed",
        ),
    ],
)
def test_each_failure_has_its_sentence(error: BaseException, sentence: str) -> None:
    assert explained(error, workers=4) == sentence


def test_the_only_loader_process_can_be_left_out() -> None:
    assert "try --workers 0, then" in explained(LoaderError("a loader process was lost"), workers=1)


def test_the_real_thing_is_known() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**58, dtype=torch.uint8)
    assert explained(raised.value).startswith("the machine is out of memory")


@pytest.mark.parametrize(
    ("changes", "micro_batch", "advice"),
    [
        ({}, 128, "try --micro-batch 64,"),
        ({}, 64, "try --micro-batch 32,"),
        ({"mixup": 0.8}, 0, "try --micro-batch 128,"),
        ({"mixup": 0.8}, 192, "try --micro-batch 64,"),
        ({"mixup": 0.8}, 64, "use a machine with more memory,"),
        ({}, 1, "use a machine with more memory,"),
    ],
)
def test_the_advised_micro_batch_can_be_had(changes: dict[str, Any], micro_batch: int, advice: str) -> None:
    sentence = explained(MemoryError(), TINY.replace(**changes), micro_batch=micro_batch)
    assert advice in sentence
    assert GROUP == 64


@pytest.mark.parametrize(
    "words",
    [
        "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4099",
        "[../gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 600000ms for recv operation to complete",
        "NCCL communicator was aborted on rank 0.",
    ],
)
def test_a_lost_process_is_reported_if_there_are_several(words: str) -> None:
    assert explained(RuntimeError(words), size=4).startswith(
        "another of the 4 processes of this run was lost, after 25 steps; see the end of its output"
    )
    assert explained(RuntimeError(words)) == f"RuntimeError: {words}"


def test_before_the_first_step() -> None:
    assert "the disk is full at /somewhere/x.pt, before the first step;" in explain(FULL, TINY, Resources(), {})


OTHER = TINY.replace(seed=9, epochs=1)


def work_with(root: Root, run: Run, resources: Resources) -> dict[str, Any]:
    """The failure note of a run, after a worker took it and another, which must be trained all the same."""
    for one, of_it in ((run, resources), (OTHER, Resources())):
        worker.request(root, one, of_it)
    worker.work(str(root.path), [run.key, OTHER.key], "worker")
    assert set(records.index(root.results)) == {OTHER.key}
    return failure_of(root.run_folder(run.key)) or {}


def test_a_full_disk_for_real(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.train.checkpoint.os.fsync", raise_full)
    note = work_with(root, TINY, Resources(checkpoint_minutes=0))
    assert note["error"].startswith("the disk is full")
    assert "after 1 step;" in note["error"]
    assert note["step"] == 1


def raise_full(_: int) -> None:
    """Only for the run that writes a checkpoint: the other keeps no weights."""
    import inspect

    if any(frame.function == "save" for frame in inspect.stack()):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_gone(workers: int, root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = image_folder(tmp_path / "mine", {"a": 8, "b": 8}, {"a": 2, "b": 2})
    run = TINY.replace(dataset="mine", batch_size=4, holdout=0.0)
    after_opening(monkeypatch, lambda: (place / "train" / "a" / "3.png").unlink())
    note = work_with(root, run, Resources(data={"mine": str(place)}, workers=workers))
    assert "3.png" in note["error"]
    assert "Traceback" not in note["error"]


def after_opening(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something once the data was opened."""
    from ablate.data import open as open_

    opened = open_.open_images

    def then(*arguments: Any) -> Any:
        found = opened(*arguments)
        if arguments[0].dataset == "mine":
            act()
        return found

    monkeypatch.setattr(open_, "open_images", then)


def test_a_killed_loader_process(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = image_folder(tmp_path / "mine", {"a": 40, "b": 40}, {"a": 2, "b": 2})
    run = TINY.replace(dataset="mine", batch_size=4, holdout=0.0)
    call = worker.Progress.__call__

    def kill(self: Any, state: dict[str, Any]) -> None:
        call(self, state)
        if self.path.parent.name == run.key and state["step"] == 2:
            import multiprocessing

            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(worker.Progress, "__call__", kill)
    note = work_with(root, run, Resources(data={"mine": str(place)}, workers=2))
    assert note["error"].startswith("a loader process was lost")
    assert "; try --workers 1, then --retry-failed" in note["error"]
