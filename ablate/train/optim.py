"""Optimiser and learning-rate schedule from timm."""

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
    """Return the parameter groups without and with weight decay, as in timm.

    Biases, norms and the class token have no weight decay. The position embedding has it only with `decay_pos_embed`,
    as in the released code of arXiv 2105.02723, whose list of exceptions omits it.
    """
    exempt = model.no_weight_decay() - ({"pos_embed"} if run.decay_pos_embed else set())  # type: ignore[operator]
    found: list[dict[str, Any]] = param_groups_weight_decay(model, run.weight_decay, no_weight_decay_list=exempt)
    return found


def optimiser(run: Run, model: nn.Module) -> Optimizer:
    """Return the optimiser of a run over all trainable parameters."""
    fused: dict[str, Any] = {"fused": True} if run.opt == "adamw" else {}
    return create_optimizer_v2(groups(run, model), opt=run.opt, lr=run.lr, weight_decay=run.weight_decay, **fused)


def schedule(run: Run, optimizer: Optimizer) -> CosineLRScheduler:
    """Return a schedule with linear warm-up and cosine decay, set once per epoch as in DeiT, and set the first rate."""
    scheduler = CosineLRScheduler(
        optimizer,
        t_initial=run.epochs,
        lr_min=min(run.min_lr, run.lr),
        warmup_t=run.warmup_epochs,
        warmup_lr_init=min(run.warmup_lr, run.lr),
        cycle_decay=0.5,  # of later cycles, which there are not: without it, timm warns about runs of one epoch
    )
    scheduler.step(0)
    return scheduler
