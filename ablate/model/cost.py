"""Parameters, MACs and activations of a model from the formulas of its parts, without building it.

Tests compare the formulas with built models and with torch's FLOP counter. For a part without a formula `params`, in a
user's own file, parameters are counted on a model of one block on the meta device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ablate.spec.errors import SpecError
from ablate.spec.parts import CHANNELS, DATASETS, MIXERS, STEMS
from ablate.spec.registry import Registry
from ablate.spec.run import Run
from ablate.spec.source import constant, formula, optional


def complexity(run: Run, channels: int, classes: int) -> dict[str, int]:
    """Return the cost of the model of a run.

    Args:
        channels: number of image channels.
        classes: number of classes.

    Returns:
        `params`, of which `frozen` are never trained; `macs`, multiply-accumulate operations for one image;
        `activations`, output elements for one image; `tokens`. MACs and activations count linear layers, convolutions
        and matrix products, without norms, activation functions and the final pooling.
    """
    params, frozen = parameters(run.replace(seed=0), channels, classes)
    return {
        "params": params,
        "frozen": frozen,
        "macs": macs(run, channels, classes),
        "activations": activations(run, classes),
        "tokens": run.tokens,
    }


@cache
def parameters(run: Run, channels: int, classes: int) -> tuple[int, int]:
    """Return the number of parameters, and of those that are never trained."""
    mixer, channel, stem = (_params(registry, name) for registry, name in _parts(run))
    if not (mixer and channel and stem):
        return _counted(run, channels, classes)
    sizes = [run.depth * mixer(run, run.tokens), run.depth * channel(run, run.tokens), stem(run, channels)]
    frozen = [size for size, (registry, name) in zip(sizes, _parts(run), strict=True) if _is_frozen(registry, name)]
    positions = 0 if run.pos_embed == "none" else run.tokens * run.dim
    return sum(sizes) + positions + _rest(run, classes), sum(frozen) + positions * (run.pos_embed == "sincos")


def macs(run: Run, channels: int, classes: int) -> int:
    """Return the MACs for one image: stem, token and channel mixer of every block, head."""
    mixer, channel, stem = (_formula(registry, name, "macs") for registry, name in _parts(run))
    block: int = mixer(run, run.tokens) + channel(run, run.tokens)
    embedding: int = stem(run, channels)
    return embedding + run.depth * block + run.dim * classes


def activations(run: Run, classes: int) -> int:
    """Return the activations for one image: stem, token and channel mixer of every block, head."""
    mixer, channel, stem = (_formula(registry, name, "activations") for registry, name in _parts(run))
    block: int = mixer(run, run.tokens) + channel(run, run.tokens)
    embedding: int = stem(run)
    return embedding + run.depth * block + classes


def inputs(dataset: str) -> tuple[int, int]:
    """Return the channels and classes of a dataset; those of ImageNet, 3 and 1,000, for a directory of images."""
    if dataset not in DATASETS:
        return 3, 1000
    path = DATASETS.path(dataset)
    return int(constant(path, "CHANNELS")), int(constant(path, "CLASSES"))


def _parts(run: Run) -> tuple[tuple[Registry, str], ...]:
    return (MIXERS, run.mixer), (CHANNELS, run.channel), (STEMS, run.stem)


def _params(registry: Registry, name: str) -> Callable[..., int] | None:
    return formula(registry.path(name), "params")


def _formula(registry: Registry, name: str, quantity: str) -> Callable[..., int]:
    found = formula(registry.path(name), quantity)
    if found is None:
        raise SpecError(f"{registry.path(name)} must define a function {quantity}, as every {registry.kind}")
    return found


def _is_frozen(registry: Registry, name: str) -> bool:
    return bool(optional(registry.path(name), "FROZEN", False))


def _has_branch(registry: Registry, name: str) -> bool:
    return bool(optional(registry.path(name), "BRANCH", True))


def _rest(run: Run, classes: int) -> int:
    """Return the number of parameters of the norms, the class token and the head."""
    over = {"channel": run.dim, "token": run.tokens}
    first = over[run.token_norm] * _has_branch(MIXERS, run.mixer)
    second = over[run.channel_norm] * _has_branch(CHANNELS, run.channel)
    return 2 * run.depth * (first + second) + run.dim * (run.pool == "cls") + 2 * run.dim + (run.dim + 1) * classes


def _counted(run: Run, channels: int, classes: int) -> tuple[int, int]:
    """Count parameters on a model of one block, and multiply those of the block by the depth."""
    import torch

    from ablate.model.build import build

    with torch.device("meta"):
        found = build(run.replace(depth=1), channels, classes).named_parameters()
    sizes = [(p.numel() * (run.depth if name.startswith("blocks.") else 1), p.requires_grad) for name, p in found]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if not trained)
