"""What a checkpoint must contain before a run resumes from it.

A checksum shows that a file is as it was written, not that a complete state of this run was written.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch

from ablate.spec.errors import SpecError
from ablate.spec.run import Run

State = Mapping[str, Any]
KINDS: Mapping[str, tuple[type, ...]] = {
    "key": (str,),
    "run": (dict,),
    "epoch": (int,),
    "step": (int,),
    "history": (list,),
    "loss_sums": (list,),
    "training_s": (int, float),
    "total_s": (int, float),
    "broken": (list,),
    "conditions": (list,),
    "model": (dict, OrderedDict),
    "optimizer": (dict,),
    "scaler": (dict,),
    "ema": (dict, OrderedDict, type(None)),
}


def problem(state: State, own: State, run: Run, steps: int, taken: int) -> str:
    """Return what is wrong with the content of a checkpoint; empty if nothing is.

    Args:
        state: the content.
        own: the state of the learner before training.
        run: the run that is to resume.
        steps: steps per epoch.
        taken: number of steps that the name of the file says.
    """
    return _kinds(state) or _position(state, run, steps, taken) or _numbers(state) or _learner(state, own)


def _kinds(state: State) -> str:
    if missing := [name for name in KINDS if name not in state]:
        return f"it lacks {', '.join(missing)}"
    wrong = [name for name, kinds in KINDS.items() if type(state[name]) not in kinds]
    return f"{wrong[0]} must not be a {type(state[wrong[0]]).__name__}" if wrong else ""


def _position(state: State, run: Run, steps: int, taken: int) -> str:
    if _run(state["run"]) != run:
        return f"its fields must be those of run {run.key}"
    epoch, step = state["epoch"], state["step"]
    if not 0 <= epoch <= run.epochs:
        return f"epoch must be 0 to {run.epochs}, got {epoch}"
    if not 0 <= step <= (steps if epoch < run.epochs else 0):
        return f"step must be 0 to {steps}, got {step}"
    if epoch * steps + step != taken:
        return f"its name says {taken} steps, and its content {epoch * steps + step}"
    history = [entry.get("epoch") if isinstance(entry, dict) else None for entry in state["history"]]
    return "" if history == list(range(1, epoch + 1)) else f"its history must have {epoch} epochs, got {history}"


def _run(fields: dict[str, Any]) -> Run | None:
    try:
        return Run.from_dict(fields)
    except (SpecError, TypeError, ValueError):
        return None


def _numbers(state: State) -> str:
    entries = [value for entry in state["history"] for value in entry.values()]
    given = [state["training_s"], state["total_s"], *state["loss_sums"], *entries]
    if not state["loss_sums"] or not all(isinstance(one, int | float) and math.isfinite(one) for one in given):
        return "its seconds, losses and history must be finite numbers"
    if not all(type(index) is int and index >= 0 for index in state["broken"]):
        return "its corrupt images must be numbers"
    conditions = state["conditions"]
    return "" if conditions and all(isinstance(one, dict) for one in conditions) else "it lacks conditions"


def _learner(state: State, own: State) -> str:
    """Compare weights with those of the model, and the optimiser's tensors with those of its parameters."""
    for name in ("model", "ema"):
        if _shapes(state[name]) != _shapes(own[name]):
            return f"its {name} must have the weights of this run's model"
    if state["scaler"].keys() != own["scaler"].keys():
        return "its loss scaler is of another precision"
    groups, given = own["optimizer"]["param_groups"], state["optimizer"].get("param_groups")
    if not isinstance(given, list) or [_named(group) for group in given] != [_named(group) for group in groups]:
        return "its optimizer must have the parameters of this run's model"
    known = {number for group in groups for number in group["params"]}
    moments = state["optimizer"].get("state")
    if not isinstance(moments, dict) or not moments.keys() <= known:
        return "its optimizer must have the state of this run's parameters"
    return "" if all(isinstance(one, dict) for one in moments.values()) else "its optimizer has a damaged state"


def _shapes(weights: State | None) -> dict[str, Any] | None:
    if weights is None:
        return None
    return {
        name: (one.shape, one.dtype) if isinstance(one, torch.Tensor) else type(one) for name, one in weights.items()
    }


def _named(group: Any) -> tuple[set[str], Any] | None:
    return (set(group), group.get("params")) if isinstance(group, dict) else None
