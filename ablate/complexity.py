"""What a model costs on paper: parameters, counted on the meta device, and MACs, from formulas."""

from __future__ import annotations

from functools import lru_cache

import torch

from ablate.models import build, tokens
from ablate.spec import MIXERS, Run


def complexity(run: Run, channels: int, classes: int) -> dict[str, int]:
    """Parameters, multiply-accumulate operations (MACs) for one image, and tokens of a run's model.

    MACs count linear layers, convolutions and products of matrices; norms, activations and pooling are left out.
    """
    return {
        "params": parameters(run.but(seed=0), channels, classes),
        "macs": macs(run, channels, classes),
        "tokens": tokens(run),
    }


@lru_cache
def parameters(run: Run, channels: int, classes: int) -> int:
    """Number of parameters, all of them trained."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(run, channels, classes).parameters())


def macs(run: Run, channels: int, classes: int) -> int:
    """Patch embedding, then mixer and feed-forward layer of every block, then the head."""
    patches = (run.image_size // run.patch_size) ** 2
    embedding = patches * channels * run.patch_size**2 * run.dim
    features = 2 * tokens(run) * run.dim * int(run.dim * run.mlp_ratio)
    block: int = MIXERS[run.mixer].macs(run, tokens(run)) + features
    return embedding + run.depth * block + run.dim * classes
