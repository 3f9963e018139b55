"""Optimiser and learning-rate schedule, both timm's."""

from __future__ import annotations

from typing import Any

from timm.optim import create_optimizer_v2
from timm.optim._param_groups import param_groups_weight_decay
from timm.scheduler import CosineLRScheduler
from torch import nn
from torch.optim import Optimizer

from ablate.spec.run import Run

BEHAVIOUR = 1


def groups(run: Run, model: nn.Module) -> list[dict[str, Any]]:
    """Parameters that are not decayed, then those that are: timm's rule.

    Biases, norms and the class token are not decayed; the position embedding only with `decay_pos_embed`, as in the
    paper's released code, whose list of exceptions misses it.
    """
    spared = model.no_weight_decay() - ({"pos_embed"} if run.decay_pos_embed else set())  # type: ignore[operator]
    found: list[dict[str, Any]] = param_groups_weight_decay(model, run.weight_decay, no_weight_decay_list=spared)
    return found


def optimiser(run: Run, model: nn.Module) -> Optimizer:
    """The run's optimiser over all its trainable parameters."""
    fused: dict[str, Any] = {"fused": True} if run.opt == "adamw" else {}
    return create_optimizer_v2(groups(run, model), opt=run.opt, lr=run.lr, weight_decay=run.weight_decay, **fused)


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
