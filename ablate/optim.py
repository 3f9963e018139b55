"""Optimiser and learning-rate schedule, both timm's."""

from __future__ import annotations

from typing import Any

from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from torch import nn
from torch.optim import Optimizer

from ablate.spec import Run

BEHAVIOUR = 1


def optimiser(run: Run, model: nn.Module) -> Optimizer:
    """The run's optimiser; biases, norms, position embedding and class token are not decayed (timm's rule)."""
    fused: dict[str, Any] = {"fused": True} if run.opt == "adamw" else {}
    return create_optimizer_v2(model, opt=run.opt, lr=run.lr, weight_decay=run.weight_decay, **fused)


def schedule(run: Run, over: Optimizer) -> CosineLRScheduler:
    """Linear warm-up, then a cosine, set once an epoch as DeiT does; sets the first epoch's rate."""
    scheduler = CosineLRScheduler(
        over,
        t_initial=run.epochs,
        lr_min=min(run.min_lr, run.lr),
        warmup_t=run.warmup_epochs,
        warmup_lr_init=min(run.warmup_lr, run.lr),
    )
    scheduler.step(0)
    return scheduler
