"""The architecture of a run's model, built on the meta device: shapes without values, so that size does not matter."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import torch
from timm.layers import DropPath
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.overrides import TorchFunctionMode

from ablate.model.block import TokenNorm, order_of
from ablate.model.build import assemble
from ablate.model.cost import complexity
from ablate.model.own import check_own
from ablate.spec.errors import SpecError
from ablate.spec.plugins import use
from ablate.spec.run import Run
from ablate.study.architecture import Architecture, write
from ablate.study.receptive_field import unseen
from ablate.train.optim import groups

# The drop-path rate increases from 0 in the first block, so one block would not show it.
BLOCKS = 2
# Not compared by class: dropout is compared by its rate.
SILENT = nn.Identity | nn.Dropout | DropPath


class _NoValues(TorchFunctionMode):
    """Skips functions that fill a tensor with values: on the meta device there are none."""

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.startswith("_") and name != "requires_grad_":
            return next(iter([*args, *(kwargs or {}).values()]))
        return func(*args, **(kwargs or {}))


def outline(run: Run, channels: int, classes: int) -> Architecture:
    """Return the architecture of a run's model."""
    check_own(run, channels, classes)
    model = _skeleton(run, channels, classes)
    modules = {name: module for name, module in _modules(model) if not isinstance(module, SILENT)}
    treatment, sizes = _treatment(run, model)
    costs = complexity(run, channels, classes)
    if (built := (sum(sizes.values()), sizes["frozen"])) != (costs["params"], costs["frozen"]):
        raise SpecError(
            f"the files of mixer {run.mixer}, channel {run.channel} and stem {run.stem} count {costs['params']:,} "
            f"parameters ({costs['frozen']:,} frozen), the model has {built[0]:,} ({built[1]:,} frozen); fix "
            "params, FROZEN or BRANCH in the wrong file"
        )
    gap, patches = unseen(run)
    return Architecture(
        modules={name: type(module).__name__ for name, module in modules.items()},
        shapes={_starred(name): list(parameter.shape) for name, parameter in model.named_parameters()},
        treatment=treatment,
        norms={name: axis for name, module in modules.items() if (axis := _axis(module))},
        dropout={name: rate for name, module in _modules(model) if (rate := _rate(module)) > 0},
        sizes=sizes,
        order=order_of(model.blocks[0]),
        costs=costs,
        channels=channels,
        classes=classes,
        patches=patches,
        unseen=gap,
    )


def _skeleton(run: Run, channels: int, classes: int) -> VisionTransformer:
    with torch.device("meta"), _NoValues():
        return assemble(run.replace(depth=min(run.depth, BLOCKS)), channels, classes, weight_init="skip")


def _starred(name: str) -> str:
    return re.sub(r"^blocks\.\d+", "blocks.*", name)


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield each module by its name, except the model and the blocks; later blocks replace earlier ones."""
    for name, module in model.named_modules():
        if name and not re.fullmatch(r"blocks(\.\d+)?", name):
            yield _starred(name), module


def _treatment(run: Run, model: nn.Module) -> tuple[dict[str, str], dict[str, int]]:
    """Return the treatment of each parameter, and the number of parameters by treatment over all blocks."""
    without, decayed = ({id(p) for p in group["params"]} for group in groups(run.replace(weight_decay=1), model))
    found: dict[str, str] = {}
    sizes = {"decayed": 0, "not decayed": 0, "frozen": 0}
    for name, parameter in model.named_parameters():
        in_group = "decayed" if id(parameter) in decayed else "not decayed"
        treated = in_group if id(parameter) in decayed | without else "frozen"
        found[_starred(name)] = treated
        block = re.match(r"blocks\.(\d+)", name)
        # The first block counts for all blocks.
        sizes[treated] += parameter.numel() * (1 if block is None else 0 if int(block[1]) else run.depth)
    return found, sizes


def _axis(module: nn.Module) -> str:
    """Return the axis of a norm; empty for other modules."""
    if isinstance(module, TokenNorm):
        return "tokens"
    if isinstance(module, nn.LayerNorm):
        return "channels"
    return "batch" if isinstance(module, nn.BatchNorm2d) else ""


def _rate(module: nn.Module) -> float:
    """Return the rate of dropout or drop path; 0 for other modules."""
    if isinstance(module, nn.Dropout):
        return module.p
    return round(float(module.drop_prob or 0), 6) if isinstance(module, DropPath) else 0.0


def main() -> None:
    """Make and cache the architectures that `ablate.study.architecture.fill` requests on standard input."""
    for order in orjson.loads(sys.stdin.buffer.read()):
        for slot, path in order["files"].items():
            use(path, slot)
        write(Path(order["path"]), outline(Run.from_dict(order["run"]), order["channels"], order["classes"]))


if __name__ == "__main__":
    main()
