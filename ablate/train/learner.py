"""A model in training and its optimiser steps, each over one or more forward and backward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn import functional as F

from ablate.data.images import Batch, Share
from ablate.data.mixup import Mixing
from ablate.model.build import build
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.spec.seeds import derive
from ablate.train.distributed import ALONE, World
from ablate.train.evaluate import autocast
from ablate.train.optim import optimiser, schedule


class Learner:
    """The model of a run with optimiser, schedule, loss scaler and moving average.

    Args:
        run: the run.
        channels: number of image channels.
        classes: number of classes.
        device: device of the model and the batches.
        resources: micro-batch, memory format and compilation.
        world: the processes that share every batch.

    Raises:
        SpecError: when the batch cannot be divided as requested.
    """

    def __init__(
        self,
        run: Run,
        channels: int,
        classes: int,
        device: torch.device,
        resources: Resources,
        world: World = ALONE,
    ) -> None:
        self.run, self.world = run, world
        self.share = Share(world.rank, world.size, resources.micro_batch)
        sizes = [piece.stop - piece.start for piece in self.share.pieces(run)]
        self.weights = [size / sum(sizes) for size in sizes]
        self.format = torch.channels_last if resources.channels_last else torch.contiguous_format
        self.model = build(run, channels, classes).to(device)
        if resources.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = optimiser(run, self.model)
        self.scheduler = schedule(run, self.optimizer)
        self.scaler = torch.amp.GradScaler(device.type, enabled=run.precision == "fp16")
        self.ema: Any = ModelEmaV3(self.model, decay=run.ema) if run.ema else None
        self.net = world.share_gradients(self.model)
        self.compiled = resources.compile
        if self.compiled:
            # Without what was compiled for earlier runs of this process, whose shapes would make this one's dynamic:
            # all variants are compiled alike.
            torch.compiler.reset()
            self.net.compile(dynamic=False)  # in place, so that parameters keep their names
        self.mixing = Mixing(run, classes)

    @property
    def lr(self) -> float:
        """The current learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, batches: Iterator[Batch], epoch: int, step: int) -> torch.Tensor:
        """Take one optimiser step over the share of this process; return its mean loss, float64, detached.

        Args:
            batches: iterator from which each forward pass of the step takes one batch.
            epoch, step: position of the step, which seeds dropout and mixing.
        """
        loss = torch.zeros((), dtype=torch.float64, device=next(self.model.parameters()).device)
        self.optimizer.zero_grad()
        for number, (weight, batch) in enumerate(zip(self.weights, batches, strict=False)):
            self._seed(epoch, step, number)
            with self._sync(last=number == len(self.weights) - 1):
                loss += self._backward(weight, batch, epoch, step)
        if self.run.clip_grad:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.run.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model)
        return loss

    def _seed(self, epoch: int, step: int, number: int) -> None:
        """Seed the global generator, from which dropout and stochastic depth draw, by the step."""
        others = (self.world.rank, number) if self.world.rank or number else ()
        torch.manual_seed(derive(self.run.seed, "step", epoch, step, *others))

    def _sync(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return a context in which processes average gradients only in the last backward pass of a step."""
        return nullcontext() if last or self.world.size == 1 else self.net.no_sync()  # type: ignore[operator]

    def _backward(self, weight: float, batch: Batch, epoch: int, step: int) -> torch.Tensor:
        """Add the gradients of one forward pass; return its weighted loss."""
        images, targets = self.mixing(*batch, epoch, step)
        images = images.contiguous(memory_format=self.format)
        smoothing = 0.0 if self.run.mixes else self.run.smoothing  # mixed targets are already smoothed
        with autocast(self.run.precision, images.device):
            loss = F.cross_entropy(self.net(images), targets, label_smoothing=smoothing) * weight
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Return everything that training changes."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state; the schedule depends only on the epoch."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema:
            self.ema.module.load_state_dict(state["ema"])
