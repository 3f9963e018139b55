"""The control equals timm's model bit for bit, and variants have the same initial weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import timm
import torch
from scipy import stats
from timm.layers import build_sincos2d_pos_embed
from timm.models.mlp_mixer import SpatialGatingUnit
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablate.model import build as models
from ablate.model.block import VariantBlock
from ablate.model.build import build, initialise
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from tests.tiny import DISTINCT, LEGAL_POOLS, TINY, VARIANTS

pytestmark = pytest.mark.usefixtures("one_thread")


def timms(run: Run, channels: int, classes: int) -> VisionTransformer:
    """Return timm's model of the same configuration."""
    model = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=run.image_size,
        patch_size=run.patch_size,
        in_chans=channels,
        num_classes=classes,
        embed_dim=run.dim,
        depth=run.depth,
        num_heads=run.heads,
        mlp_ratio=run.mlp_ratio,
        class_token=run.pool == "cls",
        global_pool="token" if run.pool == "cls" else "avg",
        fc_norm=not run.norm_before_pool,
        pos_drop_rate=run.drop,
        proj_drop_rate=run.drop,
        drop_path_rate=run.drop_path,
        pos_embed="none" if run.pos_embed == "none" else "learn",
    )
    assert isinstance(model, VisionTransformer)
    return model


def assert_equal_bits(run: Run, ours: VisionTransformer) -> None:
    """Under timm's weights of the same configuration, without renaming, outputs and gradients are timm's."""
    torch.manual_seed(1)
    reference = timms(run, 3, 7)
    assert list(ours.state_dict()) == list(reference.state_dict())
    ours.load_state_dict(reference.state_dict())
    images = torch.randn(4, 3, 12, 12)
    for training in (False, True):
        outputs = []
        for model in (ours, reference):
            torch.manual_seed(2)  # the same units are dropped
            outputs.append(model.train(training)(images))
        assert torch.equal(*outputs)
        assert outputs[0].std() > 0
    for one, other in zip(outputs, (ours, reference), strict=True):
        one.square().sum().backward()
        assert all(parameter.grad is not None for parameter in other.parameters())
    for one, other in zip(ours.parameters(), reference.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize(("pool", "norm_before_pool"), LEGAL_POOLS)
@pytest.mark.parametrize("drop", [0.0, 0.2])
@pytest.mark.parametrize("pos_embed", ["learned", "none"])
def test_attention_is_timms_model_bit_for_bit(pool: str, norm_before_pool: bool, drop: float, pos_embed: str) -> None:
    run = TINY.replace(pool=pool, norm_before_pool=norm_before_pool, drop=drop, drop_path=drop, pos_embed=pos_embed)
    assert_equal_bits(run, build(run, 3, 7))


@pytest.mark.parametrize("changes", [{"stem": "frozen"}, {"pos_embed": "sincos"}], ids=str)
def test_what_is_frozen_computes_what_timms_does(changes: dict[str, str]) -> None:
    run = TINY.replace(pool="cls", **changes)
    ours = build(run, 3, 7).requires_grad_(True)
    assert_equal_bits(run, ours)


@pytest.mark.parametrize(("pool", "norm_before_pool"), LEGAL_POOLS)
@pytest.mark.parametrize("drop", [0.0, 0.2])
def test_the_block_for_variants_computes_what_timms_does(
    pool: str, norm_before_pool: bool, drop: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing asks for it, timm's own stands: here it is forced."""
    run, parts = TINY.replace(pool=pool, norm_before_pool=norm_before_pool, drop=drop, drop_path=drop), models.parts

    def forced(run: Run) -> dict[str, Any]:
        return parts(run) | {"block_fn": type("Forced", (VariantBlock,), {"run": run})}

    monkeypatch.setattr(models, "parts", forced)
    ours = build(run, 3, 7)
    assert isinstance(ours.blocks[0], VariantBlock)
    assert_equal_bits(run, ours)


def parameters(run: Run) -> dict[str, torch.Tensor]:
    """A model's initial weights; the global stream stands somewhere else each time, which must not matter."""
    torch.randn(int(torch.randint(100, ())))
    return dict(build(run, 1, 10).named_parameters())


@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_shared_parameters_are_equal_at_the_start(pool: str) -> None:
    """Over every pair of variants, of whatever slot, and the settings that add no parameters."""
    settings = [{"order": "channel_first"}, {"token_norm": "token"}, {"channel_norm": "token"}, {"pos_embed": "none"}]
    runs = [VARIANTS[name] for name in DISTINCT] + [TINY.replace(**changes) for changes in settings]
    starts = [parameters(run.replace(pool=pool)) for run in runs]
    for first, second in combinations(starts, 2):
        shared = {name for name in set(first) & set(second) if first[name].shape == second[name].shape}
        assert {"norm.weight", "head.weight"} <= shared
        for name in shared:
            assert torch.equal(first[name], second[name]), name
    common = set.intersection(*(set(start) for start in starts))
    assert {"head.weight", "head.bias", "norm.weight"} <= common


def test_deeper_models_share_the_blocks_they_have() -> None:
    first, second = parameters(TINY), parameters(TINY.replace(depth=4))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("variant", DISTINCT)
def test_another_seed_gives_other_weights_and_the_same_seed_the_same(variant: str) -> None:
    run = VARIANTS[variant].replace(pool="cls")
    first, again, other = parameters(run), parameters(run), parameters(run.replace(seed=1))
    for name, weights in first.items():
        assert torch.equal(weights, again[name]), name
        convolution = "patch_embed" in name or ".conv." in name  # PyTorch's biases of convolutions are drawn
        constant = (name.endswith("bias") and not convolution) or "norm" in name
        assert torch.equal(weights, other[name]) == constant, name


@pytest.mark.parametrize("variant", DISTINCT)
def test_no_two_modules_draw_the_same_numbers(variant: str) -> None:
    """The name of the module is in the seed."""
    drawn = [w.flatten()[:8] for name, w in parameters(VARIANTS[variant]).items() if w.dim() > 1]
    for one, other in combinations(drawn, 2):
        assert not torch.allclose(one, other)


def test_building_leaves_the_callers_stream_where_initialise_found_it() -> None:
    model = build(TINY, 1, 10)
    torch.manual_seed(5)
    initialise(model, TINY.replace(seed=3))
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


def law(name: str, module: nn.Module) -> dict[str, Callable[[Any], Any] | float]:
    """What timm draws a module's own parameters from: a cumulative distribution, or a constant."""
    if ".gate." in name and isinstance(module, nn.Linear):
        return {"weight": stats.norm(0, 1e-6).cdf, "bias": 1.0}
    if isinstance(module, nn.Linear):
        return {"weight": stats.norm(0, 0.02).cdf, "bias": 0.0}
    if isinstance(module, nn.LayerNorm):
        return {"weight": 1.0, "bias": 0.0}
    if isinstance(module, nn.Conv2d):
        uniform = stats.uniform(-(bound := module.weight[0].numel() ** -0.5), 2 * bound).cdf
        return {"weight": uniform, "bias": uniform}
    return {}


@pytest.mark.parametrize("variant", DISTINCT)
def test_every_parameter_is_drawn_from_its_law(variant: str) -> None:
    """Kolmogorov–Smirnov with fixed seeds; `random`'s matrix has a test of its own."""
    run = VARIANTS[variant].replace(dim=64, pool="cls")
    seen = {"pos_embed", "cls_token"} | {f"blocks.{at}.attn.weight" for at in range(2) if run.mixer == "random"}
    model = build(run, 3, 10)
    for name, module in model.named_modules():
        laws = law(name, module)
        for part, weights in module.named_parameters(recurse=False):
            if part not in laws:
                continue
            seen.add(f"{name}.{part}")
            values, expected = weights.detach().flatten().double(), laws[part]
            if isinstance(expected, float):
                assert (values == expected).all(), name
            else:
                assert stats.kstest(values.numpy(), expected).pvalue > 1e-4, name
    assert seen == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("variant", DISTINCT)
def test_norms_have_timms_epsilon(variant: str) -> None:
    """1e-6, also over the tokens; the norm inside timm's gate is PyTorch's with 1e-5."""
    for changes in ({}, {"token_norm": "token", "channel_norm": "token"}):
        for module in build(VARIANTS[variant].replace(**changes), 1, 10).modules():
            if isinstance(module, SpatialGatingUnit):
                assert module.norm.eps == 1e-5
                module.norm = nn.Identity()
            if isinstance(module, nn.LayerNorm):
                assert module.eps == 1e-6


@pytest.mark.parametrize("std", [0.0, 1e-6, 0.02])
def test_the_class_token_is_drawn_as_wide_as_cls_init_says(std: float) -> None:
    drawn, usual = (build(TINY.replace(dim=512, pool="cls", cls_init=width), 1, 10).cls_token for width in (std, 1.0))
    assert drawn is not None
    assert usual is not None
    assert drawn.std().item() == pytest.approx(std, rel=0.1)
    torch.testing.assert_close(drawn, std * usual)


@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_sines_and_cosines_are_timms_and_stay(pool: str) -> None:
    model = build(TINY.replace(pos_embed="sincos", pool=pool), 1, 10)
    found = model.pos_embed
    assert found is not None
    assert not found.requires_grad
    assert torch.equal(found[0, int(pool == "cls") :], build_sincos2d_pos_embed([3, 3], 16))
    if pool == "cls":
        assert not found[0, 0].any()


def test_without_a_position_embedding_patches_may_change_places() -> None:
    """With average pooling, attention then sees a set."""
    torch.manual_seed(0)
    images = torch.randn(2, 1, 12, 12)
    turned = images.unflatten(2, (3, 4)).flip(2).flatten(2, 3)
    for pos_embed, alike in (("none", True), ("learned", False), ("sincos", False)):
        model = build(TINY.replace(pos_embed=pos_embed), 1, 10).eval()
        with torch.no_grad():
            model.head.weight.mul_(50)
            assert torch.allclose(model(images), model(turned), atol=1e-5) == alike


def test_the_distribution_is_timms() -> None:
    """Two-sample Kolmogorov–Smirnov, parameter by parameter, with fixed seeds."""
    run = TINY.replace(dim=64, pool="cls")
    torch.manual_seed(0)
    reference = dict(timms(run, 3, 10).named_parameters())
    for name, weights in build(run, 3, 10).named_parameters():
        mine, theirs = weights.detach().flatten(), reference[name].detach().flatten()
        if mine.std() == 0:
            assert torch.equal(mine, theirs), name
        else:
            assert stats.ks_2samp(mine.numpy(), theirs.numpy()).pvalue > 1e-3, name


def test_stochastic_depth_rises_to_the_last_block() -> None:
    model: Any = build(TINY.replace(drop_path=0.2, depth=3), 1, 10)
    rates = [getattr(block.drop_path2, "drop_prob", 0.0) for block in model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(("pool", "extra"), [("avg", 0), ("cls", 1)])
def test_tokens_are_patches_and_the_class_token(pool: str, extra: int) -> None:
    run = TINY.replace(pool=pool)
    model = build(run, 1, 10)
    assert run.tokens == 9 + extra
    assert model.pos_embed is not None
    assert model.pos_embed.shape == (1, run.tokens, run.dim)
    assert (model.cls_token is not None) == bool(extra)


def test_parameters_that_nothing_would_initialise_are_refused() -> None:
    """They would keep what was drawn before, whatever the run's seed."""
    model = build(TINY, 1, 10)
    model.blocks[0].attn.extra = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(3))])
    with pytest.raises(SpecError, match=r"ParameterList \(blocks.0.attn.extra\) has parameters .* 0; add a method"):
        initialise(model, TINY)
