"""A run that is killed or stopped at any point and resumed has bit for bit the record of an uninterrupted one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.dispatch import worker as job
from ablate.dispatch.lease import current
from ablate.dispatch.notes import failure_of
from ablate.dispatch.status import unfinished
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.train.checkpoint import Checkpoints, weights
from ablate.train.errors import Interrupted
from ablate.train.execute import execute
from tests import processes
from tests.tiny import TINY

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
ALWAYS = Resources(checkpoint_minutes=0)
SHORT = TINY.replace(batch_size=320)  # two epochs of three steps
KINDS: dict[str, tuple[Run, Resources]] = {
    "plain": (SHORT, ALWAYS),
    "dropout": (SHORT.replace(drop=0.1, drop_path=0.1), ALWAYS),
    "clipped, averaged": (SHORT.replace(clip_grad=0.5, ema=0.9), ALWAYS),
    "mixed, smoothed": (SHORT.replace(mixup=0.8, cutmix=1.0, smoothing=0.1), ALWAYS),
    "repeated, in pieces": (
        SHORT.replace(repeats=3, mixup=0.8, drop=0.1, train_fraction=0.3),
        Resources(checkpoint_minutes=0, micro_batch=128),
    ),
    "bf16": (SHORT.replace(precision="bf16"), ALWAYS),
    "fp16": (SHORT.replace(precision="fp16", clip_grad=0.5), ALWAYS),
    "sgd": (SHORT.replace(opt="sgd", warmup_epochs=1, holdout=0.0), ALWAYS),
}
STEPS = 6
Numbers = tuple[dict[str, Any], list[dict[str, Any]]]


class KilledError(RuntimeError):
    """What a test throws where a process might die."""


def numbers(record: Record) -> Numbers:
    return record.metrics, record.history


def killer(step: int) -> Callable[[dict[str, Any]], None]:
    """A report that throws after so many steps."""
    left = [step]

    def report(state: dict[str, Any]) -> None:
        left[0] -= bool(state["step"]) and "resumed_s" not in state
        if left[0] == 0:
            raise KilledError

    return report


@pytest.mark.parametrize("kind", KINDS)
def test_killed_after_any_step(kind: str, tmp_path: Path) -> None:
    run, resources = KINDS[kind]
    undisturbed = execute(run, resources)
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        with pytest.raises(KilledError):
            execute(run, resources, killer(step), Checkpoints(folder))
        assert len(list(folder.glob("checkpoints/*"))) == min(step - 1, 2)
        torch.rand(3)  # what another run drew meanwhile must not matter
        assert numbers(execute(run, resources, checkpoints=Checkpoints(folder, 2))) == numbers(undisturbed), step


def test_killed_again_and_again(tmp_path: Path) -> None:
    run, resources = KINDS["clipped, averaged"]
    for generation in range(1, STEPS):
        with pytest.raises(KilledError):
            execute(run, resources, killer(2), Checkpoints(tmp_path, generation))
    record = execute(run, resources, checkpoints=Checkpoints(tmp_path, STEPS))
    assert numbers(record) == numbers(execute(run, resources))
    assert record.cost["training_s"] > 0


@pytest.mark.parametrize("part", ["heldout", "test"])
def test_stopped_during_an_evaluation(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal or a kill interrupts an evaluation between two batches; the evaluation is repeated."""
    from ablate.data.resident import Resident

    undisturbed = execute(SHORT, Resources())
    evaluation = Resident.evaluation

    def interrupted(self: Resident, what: Any, share: Any) -> Any:
        for batch in evaluation(self, what, share):
            if what == part:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(Resident, "evaluation", interrupted)
        with pytest.raises(Interrupted):
            execute(SHORT, Resources(), checkpoints=Checkpoints(tmp_path))
    assert numbers(execute(SHORT, Resources(), checkpoints=Checkpoints(tmp_path, 2))) == numbers(undisturbed)


# Tests with real processes. They wait in a step until a file appears, so that none ends too early.
LONG = TINY.replace(batch_size=64, epochs=2, drop=0.1, ema=0.9)


def at_work(root: Path, worker: str, steps: int, gate: Path) -> None:
    """What a worker process does."""
    stand_still(steps, gate)
    job.work(str(root), [LONG.key], worker)


def stand_still(steps: int, gate: Path) -> None:
    """Have this process's training stand still once, after so many steps of its own, until a file is there."""
    call, left = job.Progress.__call__, [steps]

    def still(self: Any, state: dict[str, Any]) -> None:
        call(self, state)
        left[0] -= bool(state["step"]) and "resumed_s" not in state
        while left[0] <= 0 and not gate.exists():
            time.sleep(0.01)

    job.Progress.__call__ = still  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def undisturbed() -> Numbers:
    torch.set_num_threads(1)
    return numbers(execute(LONG, Resources()))


def newest(root: Root) -> int:
    """Steps at the newest checkpoint."""
    found = (root.run_folder(LONG.key) / "checkpoints").glob("*.pt")
    return max((int(path.stem.split("-")[1]) for path in found), default=0)


def recorded(root: Root) -> Numbers:
    return numbers(records.read(records.path_of(root.results, LONG)))


def test_many_real_kills(root: Root, undisturbed: Numbers) -> None:
    job.request(root, LONG, ALWAYS)
    kills = 0
    while not records.path_of(root.results, LONG).exists():
        before = newest(root)
        # Of 34 steps each has at most 9, and is killed in the last of them or a little before.
        worker = processes.start(at_work, root.path, f"try{kills}", 9, root.path / "never")
        processes.wait_for(lambda b=before, w=worker: newest(root) >= b + 6 or not w.is_alive(), "newer checkpoints")
        worker.kill()
        kills += processes.end(worker) == [-signal.SIGKILL]
    assert kills >= 3
    assert recorded(root) == undisturbed
    assert not (root.run_folder(LONG.key) / "checkpoints").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal(number: int, root: Root, undisturbed: Numbers) -> None:
    """The worker writes a checkpoint and releases the lease, and the run waits for the next worker."""
    job.request(root, LONG, Resources())
    folder = root.run_folder(LONG.key)
    gate = root.path / "go on"
    worker = processes.start(at_work, root.path, "first", 3, gate)
    processes.wait_for((folder / "progress.json").exists, "progress")
    os.kill(worker.pid, number)
    gate.touch()
    assert processes.end(worker) != [0]
    assert newest(root)
    assert failure_of(folder) is None
    assert unfinished(folder, LONG).state == "waiting"
    held = current(folder)
    assert held is not None
    assert not held.alive
    job.work(str(root.path), [LONG.key], "second")
    assert recorded(root) == undisturbed
    log = (folder / "log.txt").read_text()
    assert "received SIG" in log
    assert f"resuming from {newest_name(log)}" in log


def newest_name(log: str) -> str:
    return log.rpartition("resuming from ")[2].split()[0]


def test_a_second_signal_stops_at_once(root: Root) -> None:
    job.request(root, LONG, Resources())
    folder = root.run_folder(LONG.key)
    worker = processes.start(at_work, root.path, "first", 1, root.path / "never")
    processes.wait_for((folder / "progress.json").exists, "progress")
    os.kill(worker.pid, signal.SIGTERM)
    processes.wait_for(lambda: "received SIG" in (folder / "log.txt").read_text(), "the first signal's echo")
    os.kill(worker.pid, signal.SIGTERM)
    assert processes.end(worker) != [0]
    assert not newest(root)
    assert unfinished(folder, LONG).state == "waiting"


def test_a_checkpoint_on_demand(root: Root, undisturbed: Numbers) -> None:
    """SIGUSR1 makes the run write one, and training continues."""
    job.request(root, LONG, Resources(keep="all"))
    gate = root.path / "go on"
    worker = processes.start(at_work, root.path, "first", 3, gate)
    processes.wait_for((root.run_folder(LONG.key) / "progress.json").exists, "progress")
    os.kill(worker.pid, signal.SIGUSR1)
    gate.touch()
    processes.wait_for(lambda: newest(root), "a checkpoint")
    assert processes.end(worker) == [0]
    assert recorded(root) == undisturbed
    assert newest(root), "all files are kept, as requested"


def test_progress_goes_on_where_it_was(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time spent before counts as elapsed, and not into the pace of what is left."""
    from ablate.dispatch.notes import Progress

    clock = [1e9]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress(root.run_folder("k"), LONG)
    progress({"epoch": 1, "step": 5, "steps": 10, "resumed_s": 3000.0})
    assert progress.news["eta_s"] == pytest.approx(1000), "before a step of its own, the earlier pace counts"
    clock[0] += 500  # the first step compiles, say
    progress({"epoch": 1, "step": 6, "steps": 10})
    assert progress.news["eta_s"] == pytest.approx(800), "nor does the first step say how long one takes"
    clock[0] += 10
    progress({"epoch": 1, "step": 7, "steps": 10})
    assert progress.news["elapsed_s"] == pytest.approx(3510)
    assert progress.news["eta_s"] == pytest.approx(30)
    assert "resumed_s" not in progress.news


@pytest.mark.parametrize("keep", ["all", "final", "none"])
def test_what_is_kept_in_addition_to_the_record(keep: str, root: Root) -> None:
    run = SHORT.replace(ema=0.9)
    job.request(root, run, Resources(checkpoint_minutes=0, keep=keep))
    job.work(str(root.path), [run.key], "worker")
    folder = root.run_folder(run.key)
    assert (folder / "checkpoints").exists() == (keep == "all")
    assert (folder / "weights.pt").exists() == (keep != "none")
    if keep != "none":
        found = weights(folder / "weights.pt")
        assert Run.from_dict(found["run"]) == run
        assert (found["channels"], found["classes"]) == (1, [str(digit) for digit in range(10)])
        assert set(found["model"]) == set(found["ema"])


def test_kept_weights_give_the_recorded_numbers(root: Root) -> None:
    from ablate.data.open import open_images
    from ablate.model.build import build
    from ablate.train.evaluate import evaluate

    run = SHORT.replace(ema=0.9)
    job.request(root, run, Resources())
    job.work(str(root.path), [run.key], "worker")
    metrics = records.read(records.path_of(root.results, run)).metrics
    found = weights(root.run_folder(run.key) / "weights.pt")
    images, _ = open_images(run, Resources(), torch.device("cpu"))
    for name, prefix in (("model", ""), ("ema", "ema_")):
        model = build(run, found["channels"], len(found["classes"]))
        model.load_state_dict(found[name])
        outcome = evaluate(model, images.evaluation("test"), images.sizes["test"]).metrics()
        assert {metric: metrics[prefix + metric] for metric in ("top1", "loss", "correct")} == {
            metric: outcome[metric] for metric in ("top1", "loss", "correct")
        }


def test_resuming_with_other_resources_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    undisturbed = execute(SHORT, ALWAYS)
    assert "earlier" not in undisturbed.provenance
    for generation, changes in ((1, {}), (2, {"micro_batch": 160})):
        resources = Resources(checkpoint_minutes=0, **changes)
        with pytest.raises(KilledError):
            execute(SHORT, resources, killer(2), Checkpoints(tmp_path, generation))
    record = execute(SHORT, Resources(micro_batch=80), checkpoints=Checkpoints(tmp_path, 3))
    assert [earlier["micro_batch"] for earlier in record.provenance["earlier"]] == [0, 160]
    assert record.provenance["resources"]["micro_batch"] == 80
    assert "resuming under other conditions, micro_batch 160 → 80: the last bits will differ" in caplog.text
    losses = [[entry["train_loss"] for entry in one.history] for one in (record, undisturbed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # six steps in fp32: 6e-8 each, and room


def test_a_checkpoint_of_other_data_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the record would name data that the run was not trained on from the start."""
    from ablate.spec.parts import DATASETS

    undisturbed = execute(SHORT, Resources())
    with monkeypatch.context() as patch:
        patch.setattr(DATASETS[SHORT.dataset], "fingerprint", lambda _: "of before")
        with pytest.raises(KilledError):
            execute(SHORT, ALWAYS, killer(4), Checkpoints(tmp_path))
    record = execute(SHORT, Resources(), checkpoints=Checkpoints(tmp_path, 2))
    assert numbers(record) == numbers(undisturbed)
    assert "earlier" not in record.provenance
    assert "fingerprint of before → " in caplog.text
