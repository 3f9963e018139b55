"""Every token mixer: shapes, formulas, and which tokens it mixes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablate.model.build import build
from ablate.model.cost import macs
from ablate.model.mixers._grid import GridMixer
from ablate.spec.parts import MIXERS
from ablate.spec.run import Run
from tests.tiny import LEGAL_POOLS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")
MIXING = [name for name in MIXERS if MIXERS[name].layer(TINY, 9) is not None]
ON_THE_GRID = [name for name in MIXING if issubclass(MIXERS[name].layer(TINY, 9), GridMixer)]


def model_of(run: Run) -> VisionTransformer:
    """The model with larger weights, so that what depends on what shows above rounding, and from the first step on."""
    model = build(run, 1, 10).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1 and parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    return model


def reach(model: VisionTransformer, run: Run) -> torch.Tensor:
    """(tokens, patches): how much the last block's output at a token moves with a patch of the image."""
    torch.manual_seed(0)
    images = torch.randn(1, 1, run.image_size, run.image_size, requires_grad=True)
    stream = model.blocks(model._pos_embed(model.patch_embed(images)))
    rows = []
    for token in range(stream.shape[1]):
        (gradient,) = torch.autograd.grad(stream[0, token].square().sum(), images, retain_graph=True)
        rows.append(nn.functional.avg_pool2d(gradient.abs(), run.patch_size).flatten())
    return torch.stack(rows)


def test_the_mixers_that_mix_are_known() -> None:
    assert set(MIXERS) - set(MIXING) == {"none"}
    assert set(ON_THE_GRID) == {"dwconv", "pool"}


@pytest.mark.parametrize("mixer", MIXING)
@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_a_mixer_lets_every_token_see_every_patch(mixer: str, pool: str) -> None:
    """One block does; on the grid two, on 3×3 patches, and the class token sees nothing."""
    run = TINY.replace(mixer=mixer, pool=pool, depth=2 if mixer in ON_THE_GRID else 1)
    seen = reach(model_of(run), run) > 0
    blind = int(mixer in ON_THE_GRID and pool == "cls")
    assert seen[blind:].all()
    assert not seen[:blind].any()


@pytest.mark.parametrize("mixer", ON_THE_GRID)
def test_one_block_on_the_grid_sees_the_neighbours(mixer: str) -> None:
    run = TINY.replace(mixer=mixer, depth=1)
    rows, columns = torch.arange(9) // 3, torch.arange(9) % 3
    near = ((rows[:, None] - rows).abs() <= 1) & ((columns[:, None] - columns).abs() <= 1)
    assert torch.equal(reach(model_of(run), run) > 0, near)


def test_none_keeps_every_token_to_its_patch() -> None:
    run = TINY.replace(mixer="none")
    seen = reach(model_of(run), run)
    assert torch.equal(seen > 0, torch.eye(9, dtype=torch.bool))


def moved_by_first_patch(run: Run) -> torch.Tensor:
    """By how much the logits move when the first patch changes, for 8 different rests of the image."""
    model = model_of(run)
    torch.manual_seed(0)
    images = torch.randn(8, 1, run.image_size, run.image_size)
    before, after = torch.randn(2, 1, 1, run.patch_size, run.patch_size)
    with torch.no_grad():
        logits = []
        for patch in (before, after):
            images[:, :, : run.patch_size, : run.patch_size] = patch
            logits.append(model(images))
    return logits[1] - logits[0]


def test_without_mixing_and_norm_before_the_pooling_logits_are_a_sum_over_patches() -> None:
    moved = moved_by_first_patch(TINY.replace(mixer="none"))
    assert moved.abs().max() > 1e-2
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{"norm_before_pool": False}, *({"mixer": name} for name in MIXING)], ids=str)
def test_a_norm_after_the_pooling_or_a_mixer_couples_the_patches(changes: dict[str, object]) -> None:
    """The same measurement must be able to come out otherwise."""
    moved = moved_by_first_patch(TINY.replace(**({"mixer": "none"} | changes)))
    assert (moved - moved[:1]).abs().max() > 1e-3


def test_without_mixing_a_class_token_does_not_depend_on_the_image() -> None:
    run = TINY.replace(mixer="none", pool="cls")
    torch.manual_seed(0)
    logits = model_of(run)(torch.randn(4, 1, 12, 12))
    # A product of matrices may add up one row otherwise than the next.
    torch.testing.assert_close(logits, logits[:1].expand_as(logits), rtol=0, atol=1e-5)


def test_none_has_neither_branch_nor_norm() -> None:
    names = set(build(TINY.replace(mixer="none"), 1, 10).state_dict())
    assert not {name for name in names if "norm1" in name or "attn" in name}
    assert {name for name in names if "norm2" in name and "mlp" not in name}


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(("pool", "norm_before_pool"), LEGAL_POOLS)
def test_every_parameter_is_trained(mixer: str, pool: str, norm_before_pool: bool) -> None:
    """A parameter without a gradient is one the variant does not use, and one DDP refuses."""
    run = TINY.replace(mixer=mixer, pool=pool, norm_before_pool=norm_before_pool)
    model = build(run, 1, 10)
    torch.manual_seed(0)
    nn.functional.cross_entropy(model(torch.randn(4, 1, 12, 12)), torch.arange(4)).backward()
    for name, parameter in model.named_parameters():
        frozen = mixer == "random" and name.endswith("attn.weight")
        assert parameter.requires_grad != frozen, name
        assert frozen or parameter.grad is not None, name
        assert frozen or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_shapes_are_kept_and_evaluation_is_free_of_chance(mixer: str, drop: float) -> None:
    run = TINY.replace(mixer=mixer, drop=drop, drop_path=drop)
    model = build(run, 3, 7).eval()
    images = torch.randn(2, 3, 12, 12)
    assert model(images).shape == (2, 7)
    assert torch.equal(model(images), model(images))
    if drop:
        assert not torch.equal(model.train()(images), model(images)), "dropout reaches the model"


@pytest.mark.parametrize("mixer", MIXING)
def test_dropout_reaches_the_mixer_that_has_something_to_train(mixer: str) -> None:
    model = build(TINY.replace(mixer=mixer, drop=0.3), 1, 10)
    rates = [module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout) and ".attn." in name]
    trained = any(parameter.requires_grad for parameter in model.blocks[0].attn.parameters())
    assert (0.3 in rates) == trained


@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("pool", ["avg", "cls"])
@pytest.mark.parametrize("fixed", [0, 7])
def test_patch_ff_is_as_wide_as_its_ratio_says_or_the_fixed_width(ratio: float, pool: str, fixed: int) -> None:
    run = TINY.replace(mixer="patch_ff", token_ratio=ratio, pool=pool, token_hidden=fixed)
    layer = build(run, 1, 10).blocks[0].attn
    assert layer.fc1.weight.shape == (fixed or round(ratio * run.tokens), run.tokens)
    assert layer.fc2.weight.shape == tuple(reversed(layer.fc1.weight.shape))


def test_a_fixed_width_makes_the_ratio_irrelevant() -> None:
    models = [build(TINY.replace(mixer="patch_ff", token_hidden=7, token_ratio=ratio), 1, 10) for ratio in (0.01, 4.0)]
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)


def test_patch_ff_is_the_same_for_every_channel() -> None:
    """Channels exchanged before are channels exchanged after."""
    layer = build(TINY.replace(mixer="patch_ff"), 1, 10).blocks[0].attn
    torch.manual_seed(0)
    x, order = torch.randn(2, 9, 16), torch.randperm(16)
    torch.testing.assert_close(layer(x[:, :, order]), layer(x)[:, :, order])


def test_none_costs_nothing() -> None:
    assert MIXERS["none"].macs(TINY, 16) == 0
    assert macs(TINY.replace(mixer="none"), 1, 10) < macs(TINY.replace(mixer="pool"), 1, 10)


def mixing_layer(**changes: Any) -> nn.Module:
    """The mixer of a model's first block."""
    layer = build(TINY.replace(**changes), 1, 10).blocks[0].attn
    assert isinstance(layer, nn.Module)
    return layer


def tokens_of(run: Run) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(2, run.tokens, run.dim)


@pytest.mark.parametrize("mixer", ON_THE_GRID)
def test_a_grid_mixer_leaves_the_class_token_out(mixer: str) -> None:
    """Its branch is zero, and the patches are mixed as without one."""
    run = TINY.replace(mixer=mixer, pool="cls")
    x = tokens_of(run)
    with_class = mixing_layer(mixer=mixer, pool="cls")(x)
    assert not with_class[:, 0].any()
    torch.testing.assert_close(with_class[:, 1:], mixing_layer(mixer=mixer)(x[:, 1:]))


def neighbours(row: int, column: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Of a patch, those inside the image: row, column, and the place in a 3×3 window."""
    for down, right in product(range(3), range(3)):
        if 0 <= row + down - 1 < side and 0 <= column + right - 1 < side:
            yield row + down - 1, column + right - 1, down, right


def test_pool_by_hand() -> None:
    x, mixed = tokens_of(TINY), mixing_layer(mixer="pool")(tokens_of(TINY))
    for row, column in product(range(3), range(3)):
        around = [x[:, 3 * r + c] for r, c, _, _ in neighbours(row, column, 3)]
        assert len(around) == (4, 6, 9)[(row == 1) + (column == 1)]
        mean = torch.stack(around).mean(0)
        torch.testing.assert_close(mixed[:, 3 * row + column], mean - x[:, 3 * row + column])


def test_dwconv_by_hand() -> None:
    layer = mixing_layer(mixer="dwconv")
    x, weight, bias = tokens_of(TINY), layer.conv.weight[:, 0], layer.conv.bias
    for row, column in product(range(3), range(3)):
        found = sum(weight[:, i, j] * x[:, 3 * r + c] for r, c, i, j in neighbours(row, column, 3))
        torch.testing.assert_close(layer(x)[:, 3 * row + column], found + bias)


def test_linear_by_hand() -> None:
    layer = mixing_layer(mixer="linear", pool="cls")
    x = tokens_of(TINY.replace(pool="cls"))
    nn.init.normal_(layer.proj.bias)
    expected = torch.einsum("mn,bnd->bmd", layer.proj.weight, x) + layer.proj.bias[:, None]
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_random_averages_with_weights_that_stay(pool: str) -> None:
    layer, x = mixing_layer(mixer="random", pool=pool), tokens_of(TINY.replace(pool=pool))
    weight = layer.weight
    torch.testing.assert_close(weight.sum(1), torch.ones(len(weight)))
    assert (weight > 0).all()
    assert (weight.max(1).values / weight.min(1).values < math.e).all(), "softmax of numbers between 0 and 1"
    assert not weight.requires_grad
    torch.testing.assert_close(layer(x), torch.einsum("mn,bnd->bmd", weight, x))


def test_random_is_another_matrix_in_each_block() -> None:
    one, other = (block.attn.weight for block in build(TINY.replace(mixer="random"), 1, 10).blocks)
    assert not torch.allclose(one, other)


def test_gating_by_hand() -> None:
    """E = 3·D by default; the gate is the second half, normalised, mixed over the tokens."""
    layer, x = mixing_layer(mixer="gating"), tokens_of(TINY)
    nn.init.normal_(layer.gate.proj.weight)
    nn.init.normal_(layer.gate.proj.bias)
    assert layer.fc1.weight.shape == (2 * 48, 16)
    kept, gate = nn.functional.gelu(layer.fc1(x)).chunk(2, dim=-1)
    gate = nn.functional.layer_norm(gate, (48,), eps=1e-5)
    gate = torch.einsum("mn,bne->bme", layer.gate.proj.weight, gate) + layer.gate.proj.bias[:, None]
    torch.testing.assert_close(layer(x), layer.fc2(kept * gate))


def test_gating_starts_as_a_feed_forward_layer() -> None:
    """Weights about 1e-6 and biases of 1: the gate lets everything through, as in the paper."""
    layer, x = mixing_layer(mixer="gating", gating_ratio=1.5), tokens_of(TINY)
    assert layer.gate.proj.weight.abs().max() < 1e-5
    assert (layer.gate.proj.bias == 1).all()
    kept, _ = nn.functional.gelu(layer.fc1(x)).chunk(2, dim=-1)
    assert kept.shape[-1] == 24
    torch.testing.assert_close(layer(x), layer.fc2(kept), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_fourier_is_numpys(pool: str) -> None:
    x = tokens_of(TINY.replace(pool=pool))
    layer = mixing_layer(mixer="fourier", pool=pool)
    expected = np.fft.fft2(x.numpy().astype(np.float64), norm="ortho").real
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(layer(x.double()).numpy(), expected, rtol=1e-12, atol=1e-13)


def test_fourier_is_computed_in_fp32_whatever_the_precision() -> None:
    layer, x = mixing_layer(mixer="fourier"), tokens_of(TINY)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), mixing_layer(mixer="fourier")(x))
        rough = layer(x.bfloat16())
    assert torch.equal(rough, layer(x.bfloat16())), "also without autocast, which changes the type on a CPU"
    assert rough.dtype == torch.bfloat16
    assert torch.equal(rough, torch.fft.fft2(x.bfloat16().float(), norm="ortho").real.bfloat16())


@pytest.mark.parametrize("mixer", MIXERS)
def test_half_precision_is_close(mixer: str) -> None:
    model, images = model_of(TINY.replace(mixer=mixer)), torch.randn(4, 1, 12, 12)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = model(images)
    exact = model(images)
    assert (rough - exact).norm() < 0.05 * exact.norm()
