"""The training loop: train one run to its end, evaluate it, and checkpoint and resume it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ablate.data.datasets import Part
from ablate.data.images import Batch, Images
from ablate.data.loaders import LoaderError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train import memory
from ablate.train.checkpoint import Checkpoints
from ablate.train.checkpoint_checks import problem
from ablate.train.distributed import ALONE, World
from ablate.train.errors import DivergedError, Interrupted
from ablate.train.evaluate import Outcome, evaluate, padded
from ablate.train.learner import Learner
from ablate.train.signals import Due, Watch

BEHAVIOUR = 1
ADVICE = "try a lower lr, or clip_grad=1"

Report = Callable[[dict[str, Any]], None]
Conditions = Mapping[str, Any]
LOG = logging.getLogger("ablate")


@dataclass(frozen=True)
class Fitted:
    """The result of training one run.

    `weights` has the state dicts `model` and `ema` (or None). `conditions` has those of all parts of a resumed run, the
    latest last.
    """

    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    cost: dict[str, Any]
    weights: dict[str, Any]
    conditions: list[Conditions]


def fit(
    run: Run,
    images: Images,
    device: torch.device,
    report: Report,
    resources: Resources | None = None,
    checkpoints: Checkpoints | None = None,
    world: World = ALONE,
    conditions: Conditions | None = None,
) -> Fitted:
    """Train and evaluate a run, resuming from its newest checkpoint. The test part is read only at the end.

    Args:
        run: the run to train.
        images: its data.
        device: device of the model and the data.
        report: called with a dict of progress after every step and epoch.
        resources: what the run may use.
        checkpoints: for resuming and saving; None saves nothing.
        world: the processes that train the run together; all get the same result.
        conditions: what determines the last bits in addition to the run, plain data. A checkpoint with another
            `fingerprint` of the data is ignored.

    Raises:
        DivergedError: when the loss is not finite.
        Interrupted: when a signal requested a stop; a checkpoint was written first.
        TakenOverError: when another worker has the lease of the run.
    """
    resources = resources or Resources()
    learner = Learner(run, images.channels, len(images.classes), device, resources, world)
    with Watch(resources.checkpoint_minutes, world) as watch:
        images.stop_requested = lambda: watch.stop_requested
        try:
            return _Training(run, images, device, report, learner, watch, checkpoints, conditions or {}).finish()
        except LoaderError as error:
            if not watch.stop_requested:
                raise
            LOG.warning("%s: stopping without a new checkpoint", error)
            raise Interrupted from error


class _Training:
    """The state of a run in training: its progress and its history."""

    def __init__(
        self,
        run: Run,
        images: Images,
        device: torch.device,
        report: Report,
        learner: Learner,
        watch: Watch,
        checkpoints: Checkpoints | None,
        conditions: Conditions,
    ) -> None:
        self.run, self.images, self.device, self.report = run, images, device, report
        self.learner, self.watch, self.checkpoints, self.world = learner, watch, checkpoints, learner.world
        self.conditions = [conditions]
        self.epoch = self.step = 0
        self.history: list[dict[str, Any]] = []
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)  # over the epoch's steps
        # The first step, counted from 0, whose loss was not finite, and that loss. They stay on the device, since
        # reading them would make the host wait.
        self.bad = torch.tensor([math.inf, 0.0], dtype=torch.float64, device=device)
        self.training, self.total = _Clock(), _Clock()
        self.pace = (0, time.perf_counter())
        self._resume()

    def finish(self) -> Fitted:
        """Train the remaining epochs, and evaluate."""
        if self.watch.stop_requested and self.world.size == 1:
            raise Interrupted  # before the first step; there is nothing to save
        self.total.start()
        while self.epoch < self.run.epochs:
            self._train_epoch()
        metrics = self._metrics()
        self.total.stop()
        trained = self.run.epochs * self.images.steps * self.run.batch_size
        seconds = self.training.seconds
        cost = {"training_s": seconds, "images_per_s": trained / seconds, "total_s": self.total.seconds}
        state = self.learner.state()
        weights = {name: state[name] for name in ("model", "ema")}
        return Fitted(metrics, self.history, cost, weights, self.conditions)

    @property
    def steps_taken(self) -> int:
        """Number of steps since the start of the run."""
        return self.epoch * self.images.steps + self.step

    def _train_epoch(self) -> None:
        """Train the rest of an epoch, and add its entry to the history."""
        self.learner.net.train()
        self.training.start()
        self.pace = (self.steps_taken, time.perf_counter())
        batches = iter(self.images.training(self.epoch, self.step, self.learner.share))
        while self.step < self.images.steps:
            self._take_step(batches)
        loss = self._mean_loss()
        self.training.stop()
        entry = {"epoch": self.epoch + 1, "lr": self.learner.lr, "train_loss": loss, **self._held_out()}
        self._gather_corrupt()
        self.history.append(entry)
        self.epoch, self.step = self.epoch + 1, 0
        self.learner.scheduler.step(self.epoch)
        self.loss_sum.zero_()
        self.report({"epoch": self.epoch, "step": 0, **entry})

    def _take_step(self, batches: Iterator[Batch]) -> None:
        loss = self.learner.step(batches, self.epoch, self.step)
        self.loss_sum += loss
        now = torch.stack([torch.full_like(loss, self.steps_taken), loss])
        self.bad = torch.where(torch.isfinite(loss) | torch.isfinite(self.bad[0]), self.bad, now)
        self.step += 1
        due = self.watch.due(self.steps_taken)
        state: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "steps": self.images.steps}
        if due.check or due.save:
            state |= {"loss": self._mean_loss(), **self._pace()}
        self.report(state)
        self._act(due)

    def _mean_loss(self) -> float:
        """Return the mean loss of the epoch so far, over all processes; this waits for the device.

        Raises:
            DivergedError: when the loss of a step was not finite.
        """
        local = [*self.bad.tolist(), self.loss_sum.item()]
        of_all = self.world.all(local)
        step, loss, _ = min(of_all, key=lambda one: one[0])
        if math.isfinite(step):
            epoch, step = divmod(int(step), self.images.steps)
            raise DivergedError(f"the training loss of epoch {epoch + 1} is {loss} at step {step + 1}; {ADVICE}")
        return float(sum(total for *_, total in of_all) / len(of_all) / self.step)

    def _pace(self) -> dict[str, Any]:
        """Return the training speed since the last call, in images/s, and the peak memory, in MiB."""
        (steps, since), now = self.pace, time.perf_counter()
        self.pace = (self.steps_taken, now)
        rate = (self.steps_taken - steps) * self.run.batch_size / (now - since)
        return {"images_per_s": rate, "memory_mib": memory.peak_so_far(self.device)}

    def _act(self, due: Due) -> None:
        """Write a checkpoint and stop, if due."""
        if due.save and self.checkpoints:
            with self.training.paused():
                self.checkpoints.save(self.steps_taken, self._state())
        if due.stop:
            raise Interrupted

    def _state(self) -> dict[str, Any]:
        """Return the content of a checkpoint. All losses were finite: they are checked before each checkpoint."""
        self._gather_corrupt()
        return {
            "key": self.run.key,
            "run": self.run.to_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "loss_sums": self.world.all(self.loss_sum.item()),
            "training_s": self.training.seconds,
            "total_s": self.total.seconds,
            "broken": sorted(self.images.corrupt),
            "conditions": self.conditions,
            **self.learner.state(),
        }

    def _resume(self) -> None:
        """Resume from the newest checkpoint if there is one."""
        state = self.checkpoints.latest(self.run, self._problem) if self.checkpoints else None
        if state is None or not self._accept(state["conditions"]):
            return
        self.epoch, self.step, self.history = state["epoch"], state["step"], state["history"]
        sums = state["loss_sums"]  # one per process; only their mean matters, for any number of processes
        self.loss_sum.fill_(sums[self.world.rank] if len(sums) == self.world.size else sum(sums) / len(sums))
        self.training.before, self.total.before = state["training_s"], state["total_s"]
        self.images.add_corrupt(state["broken"])
        self.learner.load(state)
        self.report({"epoch": self.epoch, "step": self.step, "steps": self.images.steps, "resumed_s": state["total_s"]})

    def _problem(self, state: dict[str, Any], taken: int) -> str:
        """Return why the run cannot resume from the content of a checkpoint; empty if it can, or is another run."""
        key = state.get("key")
        if isinstance(key, str) and key != self.run.key:
            return ""  # a mistake of the user, which is reported
        return problem(state, self.learner.state(), self.run, self.images.steps, taken)

    def _accept(self, earlier: list[Conditions]) -> bool:
        """Return whether to use a checkpoint with some conditions; keep those that differ from the present ones."""
        (now,), last = self.conditions, earlier[-1]
        changed = {name: f"{name} {last.get(name)} → {now[name]}" for name in now if last.get(name) != now[name]}
        if "fingerprint" in changed:
            LOG.warning(
                "the data has changed since the checkpoint, %s: starting from the beginning", changed["fingerprint"]
            )
            return False
        if changed:
            LOG.warning("resuming under other conditions, %s: the last bits will differ", ", ".join(changed.values()))
        self.conditions = [*(one for one in earlier if one != now), now]
        return True

    def _gather_corrupt(self) -> None:
        """Share the corrupt images found by each process, since their total number is limited."""
        self.images.add_corrupt(set().union(*self.world.all(self.images.corrupt)))

    def _held_out(self) -> dict[str, float]:
        """Return accuracy and loss on the held-out part, if there is one."""
        if not self.images.sizes["heldout"]:
            return {}
        outcome = self._outcome(self.learner.model, "heldout")
        return {"heldout_top1": outcome.top1, "heldout_loss": outcome.loss}

    def _metrics(self) -> dict[str, Any]:
        """Return test metrics of the last weights and of their moving average, and the best held-out epoch."""
        metrics = self._outcome(self.learner.model, "test").metrics()
        if self.learner.ema:
            averaged = self._outcome(self.learner.ema.module, "test").metrics()
            metrics |= {f"ema_{name}": averaged[name] for name in ("top1", "top5", "loss", "correct")}
        self._gather_corrupt()
        last = self.history[-1]
        metrics |= {name: value for name, value in last.items() if name.startswith("heldout")}
        if "heldout_top1" in last:
            best = max(self.history, key=lambda entry: entry["heldout_top1"])
            metrics |= {"best_heldout_top1": best["heldout_top1"], "best_epoch": best["epoch"]}
        return metrics

    def _outcome(self, model: nn.Module, part: Part) -> Outcome:
        """Evaluate a part; raise a `DivergedError` if the loss is not finite, as the last steps were not checked."""
        batches = self._interruptible(self.images.evaluation(part, self.learner.share))
        outcome = evaluate(
            model,
            padded(batches) if self.learner.compiled else batches,
            self.images.sizes[part],
            self.run.precision,
            self.world,
        )
        if not math.isfinite(outcome.loss):
            raise DivergedError(f"the loss over part {part!r} is {outcome.loss}; {ADVICE}")
        return outcome

    def _interruptible(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches of an evaluation, which a single process may interrupt and repeat; several complete it."""
        for batch in batches:
            if self.world.size == 1 and self.watch.stop_requested:
                self._act(self.watch.due(self.steps_taken))
            yield batch


class _Clock:
    """A clock that can be paused, and continues over all parts of an interrupted run."""

    def __init__(self) -> None:
        self.before, self.since = 0.0, math.nan

    @property
    def seconds(self) -> float:
        return self.before if math.isnan(self.since) else self.before + time.perf_counter() - self.since

    def start(self) -> None:
        self.since = time.perf_counter()

    def stop(self) -> None:
        self.before, self.since = self.seconds, math.nan

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the time of a block."""
        running = not math.isnan(self.since)
        self.stop()
        yield
        if running:
            self.start()
