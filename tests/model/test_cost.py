"""Parameters, MACs and activations compared with the model, torch's counter and the paper."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ablate.model.build import build
from ablate.model.cost import activations, complexity, macs, parameters
from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.run import Run
from tests.tiny import DISTINCT, PARTS, TINY, VARIANTS

DEIT_TINY = Run(dataset="imagenet", image_size=224, patch_size=16, dim=192, depth=12, heads=3, pool="cls")
DEIT_BASE = DEIT_TINY.replace(dim=768, heads=12)
DEIT_LARGE = DEIT_TINY.replace(dim=1024, heads=16, depth=24, patch_size=32)
PAPERS_FF = {"mixer": "patch_ff", "order": "channel_first", "token_norm": "token"}
ATTENTION_ONLY = {"channel": "attention"}

# Everything that costs: patches a prime number or a square, class token, ratios that round, other widths.
SMALL = TINY.replace(depth=1)
SHAPES = [
    TINY,
    SMALL.replace(pool="cls", dim=24, channel_heads=5, gating_ratio=0.7, pos_embed="sincos"),
    SMALL.replace(norm_before_pool=False, mlp_ratio=1.5, token_ratio=0.7, channel_heads=3),
    SMALL.replace(image_size=32, patch_size=8, dim=24, heads=3, token_hidden=5, order="channel_first"),
    SMALL.replace(image_size=20, patch_size=4, pool="cls", mlp_ratio=2.6, token_ratio=1.3, token_norm="token"),
    SMALL.replace(image_size=16, patch_size=2, channel_norm="token", pos_embed="none", gating_ratio=2.3),
    DEIT_TINY.replace(depth=1),
]
COUNTED = ("mm", "addmm", "bmm", "baddbmm", "convolution")


class Activations(TorchDispatchMode):
    """Counts the elements that products of matrices and convolutions put out."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket.__name__ in COUNTED:
            self.total += out.numel()
        return out


def on_meta(run: Run, channels: int, classes: int) -> tuple[VisionTransformer, torch.Tensor]:
    """The model and one image without numbers."""
    with torch.device("meta"):
        return build(run, channels, classes).eval(), torch.empty(1, channels, run.image_size, run.image_size)


def counted(run: Run, channels: int, classes: int) -> tuple[int, int]:
    """MACs (half of torch's FLOPs) and activations of one image, attention unfused, as its counter would miss it."""
    model, image = on_meta(run, channels, classes)
    flops, outputs = FlopCounterMode(display=False), Activations()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), flops, outputs:
        model(image)
    assert flops.get_total_flops() % 2 == 0
    return flops.get_total_flops() // 2, outputs.total


def by_hand(run: Run) -> tuple[int, int]:
    """What torch counts as nothing: MACs and activations of pooling and the Fourier transform."""
    patches, elements = run.side**2 * run.dim, run.tokens * run.dim
    transform = round(2.5 * elements * torch.log2(torch.tensor(elements, dtype=torch.float64)).item())
    one = {"pool": (9 * patches, patches), "fourier": (transform, elements)}.get(run.mixer, (0, 0))
    return run.depth * one[0], run.depth * one[1]


def legal(mixer: str, channel: str) -> bool:
    return (mixer, channel) != ("none", "none")


PAIRS = [(mixer, channel) for mixer in MIXERS for channel in CHANNELS if legal(mixer, channel)]


@pytest.mark.parametrize(("mixer", "channel"), PAIRS)
def test_costs_are_what_torch_counts_exactly(mixer: str, channel: str) -> None:
    """At every shape, and with every stem at some; channels of the image and classes vary along."""
    for at, (shape, stem) in enumerate(zip(SHAPES, cycle(STEMS), strict=False)):
        run, channels, classes = shape.replace(mixer=mixer, channel=channel, stem=stem), 1 + 2 * (at % 2), 7 + at
        pairs = zip(counted(run, channels, classes), by_hand(run), strict=True)
        assert (macs(run, channels, classes), activations(run, classes)) == tuple(sum(pair) for pair in pairs), run


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
def test_costs_of_a_stem_at_every_shape(stem: str, shape: Run) -> None:
    run = shape.replace(stem=stem)
    assert (macs(run, 3, 5), activations(run, 5)) == counted(run, 3, 5)


def test_torch_counts_the_same_with_numbers_as_without() -> None:
    """The meta device is no other model: one variant of each part is counted on the CPU too."""
    for run in (VARIANTS[name] for name in DISTINCT):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
            build(run, 3, 7).eval()(torch.zeros(1, 3, run.image_size, run.image_size))
        assert counter.get_total_flops() // 2 == counted(run, 3, 7)[0]


@pytest.mark.parametrize(("slot", "name"), PARTS)
@pytest.mark.parametrize("shape", SHAPES[:-1], ids=range(len(SHAPES) - 1))
def test_parameters_are_the_models(slot: str, name: str, shape: Run) -> None:
    """The formulas and the meta device, against a model with numbers."""
    run = shape.replace(**{slot: name})
    built = list(build(run, 3, 7).parameters())
    assert complexity(run, 3, 7) == {
        "params": sum(parameter.numel() for parameter in built),
        "frozen": sum(parameter.numel() for parameter in built if not parameter.requires_grad),
        "macs": macs(run, 3, 7),
        "activations": activations(run, 7),
        "tokens": (run.image_size // run.patch_size) ** 2 + (run.pool == "cls"),
    }


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        ({}, 0),
        ({"mixer": "random"}, 2 * 10**2),
        ({"stem": "frozen"}, 16 * (3 * 4**2 + 1)),
        ({"pos_embed": "sincos"}, 10 * 16),
        ({"mixer": "random", "stem": "frozen", "pos_embed": "sincos"}, 2 * 10**2 + 16 * (3 * 4**2 + 1) + 10 * 16),
    ],
    ids=str,
)
def test_what_is_never_trained_is_counted_apart(changes: dict[str, Any], frozen: int) -> None:
    run = TINY.replace(pool="cls", **changes)
    assert complexity(run, 3, 7)["frozen"] == frozen


def test_the_seed_changes_nothing_and_the_model_is_built_once() -> None:
    parameters.cache_clear()
    for seed in range(3):
        complexity(TINY.replace(seed=seed), 1, 10)
    assert parameters.cache_info().misses == 1


def test_patch_ff_is_linear_in_the_tokens_with_a_fixed_width_and_quadratic_with_a_ratio() -> None:
    ratio, fixed = TINY.replace(mixer="patch_ff"), TINY.replace(mixer="patch_ff", token_hidden=36)
    for run, power in ((ratio, 2), (fixed, 1)):
        few, many = (MIXERS["patch_ff"].macs(run, tokens) for tokens in (64, 256))
        assert many == few * 4**power


def test_attention_grows_with_the_square_and_a_grid_with_the_patches() -> None:
    for mixer in ("pool", "dwconv", "none"):
        few, many = (TINY.replace(mixer=mixer, image_size=size) for size in (16, 32))
        assert MIXERS[mixer].macs(many, many.tokens) == 4 * MIXERS[mixer].macs(few, few.tokens)
    for mixer in ("attention", "linear", "random", "gating"):
        costs = [MIXERS[mixer].macs(TINY, tokens) for tokens in (100, 200, 300)]
        assert costs[2] - 2 * costs[1] + costs[0] > 0
        assert costs[2] - 2 * costs[1] + costs[0] == MIXERS[mixer].macs(TINY, 200) - 2 * MIXERS[mixer].macs(TINY, 100)


# Large: the paper's count without the 14×14 map of positions, which is baked to 7×7: 147 × 1024 numbers fewer.
@pytest.mark.parametrize(
    ("run", "params", "gmacs"),
    [
        (DEIT_TINY, 5_717_416, 1.25),
        (DEIT_BASE, 86_567_656, 17.56),
        (DEIT_LARGE, 306_535_400, 15.38),
        (DEIT_TINY.replace(**PAPERS_FF), 7_676_332, 1.44),
        (DEIT_BASE.replace(**PAPERS_FF), 61_943_020, 14.13),
        (DEIT_LARGE.replace(**PAPERS_FF), 206_363_576 - (14**2 - 7**2) * 1024, 10.71),
        (DEIT_TINY.replace(**ATTENTION_ONLY, channel_norm="token"), 4_039_360, None),
        (DEIT_TINY.replace(**ATTENTION_ONLY), 4_039_240, None),
    ],
    ids=[
        *("attention tiny", "attention base", "attention large"),
        *("FF tiny", "FF base", "FF large"),
        *("attention twice, norm over tokens", "attention twice"),
    ],
)
def test_the_papers_numbers(run: Run, params: int, gmacs: float | None) -> None:
    found = complexity(run, channels=3, classes=1000)
    assert found["params"] == params
    if gmacs:
        assert found["macs"] / 1e9 == pytest.approx(gmacs, rel=5e-3)
