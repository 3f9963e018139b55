"""The loop: train one run to its end, and have it evaluated. Data, model and optimiser come from their own rooms."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ablate.datasets import Part
from ablate.evaluation import Outcome, autocast, evaluate
from ablate.images import Images
from ablate.models import build
from ablate.optim import optimiser, schedule
from ablate.seeds import derive
from ablate.spec import Run

BEHAVIOUR = 1

Report = Callable[[dict[str, Any]], None]


class DivergedError(RuntimeError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Fitted:
    """What training one run gave."""

    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    cost: dict[str, Any]


def fit(run: Run, images: Images, device: torch.device, report: Report) -> Fitted:
    """Train and evaluate a run; the test part is read once, at the end.

    Args:
        report: called with what is known so far, after every step and every epoch.

    Raises:
        DivergedError: when the loss stops being a finite number.
    """
    started = time.perf_counter()
    model = build(run, images.channels, len(images.classes)).to(device)
    optimizer = optimiser(run, model)
    scheduler = schedule(run, optimizer)
    history: list[dict[str, Any]] = []
    training_s = 0.0
    for epoch in range(run.epochs):
        entry = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
        epoch_started = time.perf_counter()
        entry["train_loss"] = _epoch(run, model, optimizer, images, epoch, report)
        training_s += time.perf_counter() - epoch_started
        scheduler.step(epoch + 1)
        history.append(entry | _held_out(run, model, images))
        report({"epoch": epoch + 1, "step": 0, **history[-1]})
    metrics = _outcome(run, model, images, "test").metrics()
    metrics |= {name: value for name, value in history[-1].items() if name.startswith("heldout")}
    trained = run.epochs * images.steps * run.batch_size
    cost = {"training_s": training_s, "images_per_s": trained / training_s, "total_s": time.perf_counter() - started}
    return Fitted(metrics, history, cost)


def _held_out(run: Run, model: nn.Module, images: Images) -> dict[str, float]:
    """Accuracy and loss on the held-out part, where there is one."""
    if not images.sizes["heldout"]:
        return {}
    outcome = _outcome(run, model, images, "heldout")
    return {"heldout_top1": outcome.top1, "heldout_loss": outcome.loss}


def _outcome(run: Run, model: nn.Module, images: Images, part: Part) -> Outcome:
    """Raises DivergedError where the loss is no finite number: an epoch's last steps can spoil the weights unseen."""
    outcome = evaluate(model, images.evaluation(part), images.sizes[part], run.precision)
    if not math.isfinite(outcome.loss):
        raise DivergedError(f"the loss over part {part!r} is {outcome.loss}; try a lower lr, or clip_grad=1")
    return outcome


def _epoch(
    run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, images: Images, epoch: int, report: Report
) -> float:
    """One pass over the training part; returns the mean loss."""
    model.train()
    total = torch.zeros((), dtype=torch.float64, device=next(model.parameters()).device)
    for step, (pictures, labels) in enumerate(images.training(epoch)):
        # Dropout and stochastic depth draw from the global stream: tie it to the step, not to what ran before.
        torch.manual_seed(derive(run.seed, "step", epoch, step))
        with autocast(run.precision, pictures.device):
            loss = F.cross_entropy(model(pictures), labels, label_smoothing=run.smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if run.clip_grad:
            nn.utils.clip_grad_norm_(model.parameters(), run.clip_grad)
        optimizer.step()
        total += loss.detach()
        report({"epoch": epoch, "step": step + 1, "steps": images.steps})
    mean = total.item() / images.steps
    if not math.isfinite(mean):
        raise DivergedError(f"the training loss of epoch {epoch + 1} is {mean}; try a lower lr, or clip_grad=1")
    return mean
