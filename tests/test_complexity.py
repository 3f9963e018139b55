"""Parameters and MACs against the model itself, torch's counter, and the paper's numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ablate.complexity import complexity, macs, parameters
from ablate.models import build
from ablate.spec import MIXERS, Run
from tests.tiny import TINY

DEIT_TINY = Run(dataset="imagenet", image_size=224, patch_size=16, dim=192, depth=12, heads=3, pool="cls")

SHAPES = [
    TINY,
    TINY.but(pool="cls"),
    TINY.but(norm_before_pool=False, mlp_ratio=1.5, token_ratio=0.7),
    TINY.but(image_size=32, patch_size=8, dim=24, heads=3, depth=1),
    TINY.but(image_size=20, patch_size=4, pool="cls", mlp_ratio=2.6, depth=3, token_ratio=1.3),
]


def counted(run: Run, channels: int, classes: int) -> int:
    """FLOPs of one image as torch counts them, without fused attention, which its counter would miss; halved."""
    model = build(run, channels, classes).eval()
    picture = torch.zeros(1, channels, run.image_size, run.image_size)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(picture)
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 7)])
def test_macs_are_what_torch_counts_exactly(mixer: str, shape: Run, channels: int, classes: int) -> None:
    run = shape.but(mixer=mixer)
    assert macs(run, channels, classes) == counted(run, channels, classes)


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_parameters_are_the_models(mixer: str, shape: Run) -> None:
    run = shape.but(mixer=mixer)
    built = sum(parameter.numel() for parameter in build(run, 3, 7).parameters())
    assert complexity(run, 3, 7) == {
        "params": built,
        "macs": macs(run, 3, 7),
        "tokens": (run.image_size // run.patch_size) ** 2 + (run.pool == "cls"),
    }


def test_the_seed_changes_nothing_and_the_model_is_built_once() -> None:
    parameters.cache_clear()
    for seed in range(3):
        complexity(TINY.but(seed=seed), 1, 10)
    assert parameters.cache_info().misses == 1


# The paper's FF-only models norm before the patch FF over the 197 tokens, ours over the channels (paper.md, point 2).
@pytest.mark.parametrize(
    ("run", "params", "gmacs"),
    [
        (DEIT_TINY, 5_717_416, 1.25),
        (DEIT_TINY.but(dim=768, heads=12), 86_567_656, 17.56),
        (DEIT_TINY.but(dim=1024, heads=16, depth=24, patch_size=32), 306_535_400, 15.38),
        (DEIT_TINY.but(mixer="patch_ff"), 7_676_332 - 12 * 2 * (197 - 192), 1.44),
        (DEIT_TINY.but(mixer="patch_ff", dim=768, heads=12), 61_943_020 + 12 * 2 * (768 - 197), 14.13),
    ],
    ids=["attention tiny", "attention base", "attention large", "FF tiny", "FF base"],
)
def test_the_papers_numbers(run: Run, params: int, gmacs: float) -> None:
    found = complexity(run, channels=3, classes=1000)
    assert found["params"] == params
    assert found["macs"] / 1e9 == pytest.approx(gmacs, rel=5e-3)
