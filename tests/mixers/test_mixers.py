"""Every mixer by its promise: what it is given, what it gives, and whether tokens meet in it."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablate.complexity import macs
from ablate.models import build, tokens
from ablate.spec import MIXERS, Run
from tests.tiny import LEGAL_POOLS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")
MIXING = [name for name in MIXERS if MIXERS[name].layer(TINY, 9) is not None]


def model_of(run: Run) -> VisionTransformer:
    """The model with its weights scaled up, so that what depends on what shows above rounding."""
    model = build(run, 1, 10).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0 if parameter.dim() > 1 else 1.0)
    return model


def reach(model: VisionTransformer, run: Run) -> torch.Tensor:
    """(tokens, patches): how much the last block's output at a token moves with a patch of the picture."""
    torch.manual_seed(0)
    pictures = torch.randn(1, 1, run.image_size, run.image_size, requires_grad=True)
    stream = model.blocks(model._pos_embed(model.patch_embed(pictures)))
    rows = []
    for token in range(stream.shape[1]):
        (gradient,) = torch.autograd.grad(stream[0, token].square().sum(), pictures, retain_graph=True)
        rows.append(nn.functional.avg_pool2d(gradient.abs(), run.patch_size).flatten())
    return torch.stack(rows)


def test_the_mixers_that_mix_are_known() -> None:
    assert {"attention", "patch_ff"} <= set(MIXING)
    assert "none" not in MIXING


@pytest.mark.parametrize("mixer", MIXING)
@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_a_mixer_lets_every_token_see_every_patch(mixer: str, pool: str) -> None:
    run = TINY.but(mixer=mixer, pool=pool)
    assert (reach(model_of(run), run) > 0).all()


def test_none_keeps_every_token_to_its_patch() -> None:
    run = TINY.but(mixer="none")
    seen = reach(model_of(run), run)
    assert torch.equal(seen > 0, torch.eye(9, dtype=torch.bool))


def moved_by_first_patch(run: Run) -> torch.Tensor:
    """By how much the logits move when the first patch changes, for 8 different rests of the picture."""
    model = model_of(run)
    torch.manual_seed(0)
    pictures = torch.randn(8, 1, run.image_size, run.image_size)
    before, after = torch.randn(2, 1, 1, run.patch_size, run.patch_size)
    with torch.no_grad():
        logits = []
        for patch in (before, after):
            pictures[:, :, : run.patch_size, : run.patch_size] = patch
            logits.append(model(pictures))
    return logits[1] - logits[0]


def test_without_mixing_and_norm_before_the_pooling_logits_are_a_sum_over_patches() -> None:
    moved = moved_by_first_patch(TINY.but(mixer="none"))
    assert moved.abs().max() > 1e-2
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{"norm_before_pool": False}, *({"mixer": name} for name in MIXING)], ids=str)
def test_a_norm_after_the_pooling_or_a_mixer_couples_the_patches(changes: dict[str, object]) -> None:
    """The same measurement must be able to come out otherwise."""
    moved = moved_by_first_patch(TINY.but(**({"mixer": "none"} | changes)))
    assert (moved - moved[:1]).abs().max() > 1e-3


def test_with_a_class_token_and_no_mixing_the_picture_does_not_matter() -> None:
    run = TINY.but(mixer="none", pool="cls")
    torch.manual_seed(0)
    logits = model_of(run)(torch.randn(4, 1, 12, 12))
    assert torch.equal(logits, logits[:1].expand_as(logits))


def test_none_has_neither_branch_nor_norm() -> None:
    names = set(build(TINY.but(mixer="none"), 1, 10).state_dict())
    assert not {name for name in names if "norm1" in name or "attn" in name}
    assert {name for name in names if "norm2" in name and "mlp" not in name}


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(("pool", "norm_before_pool"), LEGAL_POOLS)
def test_every_parameter_is_trained(mixer: str, pool: str, norm_before_pool: bool) -> None:
    """A parameter without a gradient is one the variant does not use, and one DDP refuses."""
    run = TINY.but(mixer=mixer, pool=pool, norm_before_pool=norm_before_pool)
    model = build(run, 1, 10)
    torch.manual_seed(0)
    nn.functional.cross_entropy(model(torch.randn(4, 1, 12, 12)), torch.arange(4)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_shapes_are_kept_and_evaluation_is_free_of_chance(mixer: str, drop: float) -> None:
    run = TINY.but(mixer=mixer, drop=drop, drop_path=drop)
    model = build(run, 3, 7).eval()
    pictures = torch.randn(2, 3, 12, 12)
    assert model(pictures).shape == (2, 7)
    assert torch.equal(model(pictures), model(pictures))
    if drop:
        assert not torch.equal(model.train()(pictures), model(pictures)), "dropout reaches the model"


@pytest.mark.parametrize("mixer", MIXING)
def test_dropout_reaches_the_mixer(mixer: str) -> None:
    model = build(TINY.but(mixer=mixer, drop=0.3), 1, 10)
    rates = [module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout) and ".attn." in name]
    assert 0.3 in rates


@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_patch_ff_is_as_wide_as_its_ratio_says(ratio: float, pool: str) -> None:
    run = TINY.but(mixer="patch_ff", token_ratio=ratio, pool=pool)
    layer = build(run, 1, 10).blocks[0].attn
    assert layer.fc1.weight.shape == (round(ratio * tokens(run)), tokens(run))


def test_patch_ff_is_the_same_for_every_channel() -> None:
    """Channels exchanged before are channels exchanged after."""
    layer = build(TINY.but(mixer="patch_ff"), 1, 10).blocks[0].attn
    torch.manual_seed(0)
    x, order = torch.randn(2, 9, 16), torch.randperm(16)
    torch.testing.assert_close(layer(x[:, :, order]), layer(x)[:, :, order])


def test_patch_ff_grows_with_the_square_of_the_tokens_and_none_costs_nothing() -> None:
    few, many = (TINY.but(mixer="patch_ff", image_size=size) for size in (16, 32))
    assert MIXERS["patch_ff"].macs(many, tokens(many)) == 16 * MIXERS["patch_ff"].macs(few, tokens(few))
    assert MIXERS["none"].macs(few, 16) == 0
    assert macs(few.but(mixer="none"), 1, 10) < macs(few, 1, 10)
