"""Check the user's own mixers, channel mixers and stems: a forward and a backward pass, and their MACs as torch counts.

A model of one block is built and called as for training, with random images. `ablate plan` does this for each part, and
a worker before it trains a run, so that an error is a sentence with the line of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ablate.model.build import build
from ablate.model.cost import complexity
from ablate.model.errors import explaining
from ablate.model.repeatable import SEED, check_initial, check_outputs
from ablate.spec.errors import SpecError
from ablate.spec.plugins import files_of
from ablate.spec.run import Run
from ablate.spec.source import formula

IMAGES = 2
SIDE = 16  # of the grid of patches: on a larger one, attention over tokens would need much memory
MODULES = {"mixer": "blocks.0.attn", "channel": "blocks.0.mlp", "stem": "patch_embed"}


def check_own(run: Run, channels: int, classes: int) -> None:
    """Check the parts of a run that are in the user's own files; without any, do nothing.

    Raises:
        SpecError: when one fails, does not map tokens to tokens, or declares other MACs than torch counts.
    """
    files = {slot: Path(path) for slot, path in files_of(run).items()}
    if not files:
        return
    small = _small(run)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.enable_grad(), explaining(run):
        torch.manual_seed(SEED)
        model, twin = build(small, channels, classes), build(small, channels, classes)
        images = torch.randn(IMAGES, channels, small.image_size, small.image_size)
        for slot, path in files.items():
            check_initial(model, twin, path)
            _check_part(small, model, images, slot, path)
            if torch.initial_seed() != SEED:
                raise SpecError(
                    f"{path} sets the seed of torch for the whole process, which repeats the dropout of all layers; "
                    "use a torch.Generator"
                )
            if _has(model, slot):
                check_outputs(model, twin, MODULES[slot], images, path)
        _check_size(small, model, channels, classes, files)


def _check_size(run: Run, model: nn.Module, channels: int, classes: int, files: Mapping[str, Path]) -> None:
    """Check the other formulas, which are needed after the training: `activations`, and `params` if it exists."""
    costs = complexity(run, channels, classes)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, frozen = sum(size for size, _ in sizes), sum(size for size, trained in sizes if not trained)
    if (total, frozen) != (costs["params"], costs["frozen"]):
        raise SpecError(
            f"with {' and '.join(map(str, files.values()))} a model of one block has {total:,} parameters ({frozen:,} "
            f"frozen), but the formulas give {costs['params']:,} ({costs['frozen']:,} frozen); fix params, FROZEN or "
            "BRANCH"
        )


def _small(run: Run) -> Run:
    """Return a run with one block and a small grid of patches."""
    small = run.replace(depth=1, crop_padding=0, seed=0)
    return small if run.side <= SIDE else small.replace(image_size=SIDE * run.patch_size, channel_heads=1)


def _check_part(run: Run, model: nn.Module, images: torch.Tensor, slot: str, path: Path) -> None:
    """Check the part in one slot of a model."""
    counted = 0
    if _has(model, slot):
        part = model.get_submodule(MODULES[slot])
        known = {name for name, _ in model.named_parameters()}
        with _checked(part, path, _shape(run, slot)):
            model.train()(images).square().sum().backward()
        if new := [name for name, _ in model.named_parameters() if name not in known]:
            raise SpecError(f"{path} creates the parameter {new[0]} in forward, which no optimiser has; use __init__")
        _check_gradients(model, path)
        counted = _count(model, part, images[:1])
    _check_macs(run, images.shape[1], slot, path, counted)


def _has(model: nn.Module, slot: str) -> bool:
    """Return whether a model has a module in a slot: a mixer or channel mixer may be None."""
    return slot == "stem" or hasattr(model.get_submodule("blocks.0"), MODULES[slot].rpartition(".")[2])


def _shape(run: Run, slot: str) -> tuple[int, int, int]:
    """Return the shape of a part's output: tokens, without the class token for a stem."""
    return IMAGES, run.side**2 if slot == "stem" else run.tokens, run.dim


@contextmanager
def _checked(part: nn.Module, path: Path, shape: tuple[int, ...]) -> Iterator[None]:
    """Check the input and output of every call of a part within the block."""
    version = [0]

    def before(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        version[0] = args[0]._version

    def after(_: nn.Module, args: tuple[torch.Tensor, ...], out: Any) -> None:
        if args[0]._version != version[0]:
            raise SpecError(f"forward in {path} must not change its input in place; change a copy")
        _check_output(args[0], out, path, shape)

    hooks = part.register_forward_pre_hook(before), part.register_forward_hook(after)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _check_output(x: torch.Tensor, out: Any, path: Path, shape: tuple[int, ...]) -> None:
    given = f"for an input of shape {tuple(x.shape)} and {x.dtype}"
    if not isinstance(out, torch.Tensor):
        raise SpecError(f"forward in {path} must return a tensor, got {type(out).__name__}")
    if tuple(out.shape) != shape:
        raise SpecError(f"forward in {path} must return the shape {shape} {given}, got {tuple(out.shape)}")
    if out.dtype != x.dtype:
        raise SpecError(f"forward in {path} must return {x.dtype} {given}, got {out.dtype}")
    if x.isfinite().all() and not out.isfinite().all():
        raise SpecError(f"forward in {path} must return finite numbers {given}, got NaN or infinity for random images")


def _check_gradients(model: nn.Module, path: Path) -> None:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise SpecError(f"with {path} the gradient of {name} must be finite, got NaN or infinity for random images")


def _count(model: nn.Module, part: nn.Module, image: torch.Tensor) -> int:
    """Return the MACs of a part for one image: half of torch's FLOPs, with attention unfused."""
    counter, totals = FlopCounterMode(display=False), [0, 0]

    def note(at: int) -> Callable[..., None]:
        return lambda *_: totals.__setitem__(at, counter.get_total_flops())

    hooks = part.register_forward_pre_hook(note(0)), part.register_forward_hook(note(1))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model.eval()(image)
    for hook in hooks:
        hook.remove()
    return (totals[1] - totals[0]) // 2


def _check_macs(run: Run, channels: int, slot: str, path: Path, counted: int) -> None:
    """Check the formula of a part against torch, apart from operations that the part declares as unknown to torch."""
    size = channels if slot == "stem" else run.tokens
    declared, unknown = (
        found(run, size) if (found := formula(path, name)) else 0 for name in ("macs", "uncounted_macs")
    )
    if declared != counted + unknown:
        more = f" and uncounted_macs returns {unknown:,}" if unknown else ""
        raise SpecError(
            f"macs in {path} returns {declared:,} for one image of {run.side**2} patches and dim {run.dim}, but torch "
            f"counts {counted:,}{more}; fix the formula (docs/extending.md describes what counts)"
        )
