"""The control is timm's model, bit for bit, and variants start from the same weights."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import timm
import torch
from scipy import stats
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablate.models import build, tokens
from ablate.spec import MIXERS, Run
from tests.tiny import LEGAL_POOLS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def timms(run: Run, channels: int, classes: int) -> VisionTransformer:
    """The same configuration, asked of timm by its own names."""
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
    )
    assert isinstance(model, VisionTransformer)
    return model


@pytest.mark.parametrize(("pool", "norm_before_pool"), LEGAL_POOLS)
@pytest.mark.parametrize("drop", [0.0, 0.2])
def test_attention_is_timms_model_bit_for_bit(pool: str, norm_before_pool: bool, drop: float) -> None:
    run = TINY.but(pool=pool, norm_before_pool=norm_before_pool, drop=drop, drop_path=drop)
    torch.manual_seed(1)
    reference, ours = timms(run, 3, 7), build(run, 3, 7)
    assert list(ours.state_dict()) == list(reference.state_dict())
    ours.load_state_dict(reference.state_dict())
    pictures = torch.randn(4, 3, 12, 12)
    for training in (False, True):
        outputs = []
        for model in (ours, reference):
            torch.manual_seed(2)  # the same units are dropped
            outputs.append(model.train(training)(pictures))
        assert torch.equal(*outputs)
        assert outputs[0].std() > 0


def parameters(run: Run) -> dict[str, torch.Tensor]:
    """A model's initial weights; the global stream stands somewhere else each time, which must not matter."""
    torch.randn(int(torch.randint(100, ())))
    return dict(build(run, 1, 10).named_parameters())


@pytest.mark.parametrize("pool", ["avg", "cls"])
@pytest.mark.parametrize(("one", "other"), list(combinations(MIXERS, 2)))
def test_shared_parameters_are_equal_at_the_start(one: str, other: str, pool: str) -> None:
    first, second = (parameters(TINY.but(mixer=mixer, pool=pool)) for mixer in (one, other))
    shared = {name for name in set(first) & set(second) if first[name].shape == second[name].shape}
    assert {"patch_embed.proj.weight", "pos_embed", "blocks.1.mlp.fc2.weight", "head.weight"} <= shared
    for name in shared:
        assert torch.equal(first[name], second[name]), name


def test_deeper_models_share_the_blocks_they_have() -> None:
    first, second = parameters(TINY), parameters(TINY.but(depth=4))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("mixer", MIXERS)
def test_another_seed_gives_other_weights_and_the_same_seed_the_same(mixer: str) -> None:
    run = TINY.but(mixer=mixer, pool="cls")
    first, again, other = parameters(run), parameters(run), parameters(run.but(seed=1))
    for name, weights in first.items():
        assert torch.equal(weights, again[name]), name
        constant = (name.endswith("bias") and "patch_embed" not in name) or "norm" in name
        assert torch.equal(weights, other[name]) == constant, name


@pytest.mark.parametrize("mixer", MIXERS)
def test_no_two_modules_draw_the_same_numbers(mixer: str) -> None:
    """The name of the module is in the seed."""
    drawn = [w.flatten()[:8] for name, w in parameters(TINY.but(mixer=mixer)).items() if w.dim() > 1]
    for one, other in combinations(drawn, 2):
        assert not torch.allclose(one, other)


def test_building_leaves_the_callers_stream_where_initialise_found_it() -> None:
    from ablate.models import initialise

    model = build(TINY, 1, 10)
    torch.manual_seed(5)
    initialise(model, 3)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


@pytest.mark.parametrize("mixer", MIXERS)
def test_constants_and_widths_are_timms(mixer: str) -> None:
    model = build(TINY.but(mixer=mixer, dim=64, pool="cls"), 1, 10)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert module.bias is None or not module.bias.any(), name
        if isinstance(module, nn.LayerNorm):
            assert module.eps == 1e-6
            assert (module.weight == 1).all(), name
            assert not module.bias.any(), name
    assert model.pos_embed is not None
    assert model.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_distribution_is_timms() -> None:
    """Two-sample Kolmogorov–Smirnov, parameter by parameter, with fixed seeds."""
    run = TINY.but(dim=64, pool="cls")
    torch.manual_seed(0)
    reference = dict(timms(run, 3, 10).named_parameters())
    for name, weights in build(run, 3, 10).named_parameters():
        mine, theirs = weights.detach().flatten(), reference[name].detach().flatten()
        if mine.std() == 0:
            assert torch.equal(mine, theirs), name
        else:
            assert stats.ks_2samp(mine.numpy(), theirs.numpy()).pvalue > 1e-3, name


def test_stochastic_depth_rises_to_the_last_block() -> None:
    model: Any = build(TINY.but(drop_path=0.2, depth=3), 1, 10)
    rates = [getattr(block.drop_path2, "drop_prob", 0.0) for block in model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(("pool", "extra"), [("avg", 0), ("cls", 1)])
def test_tokens_are_patches_and_the_class_token(pool: str, extra: int) -> None:
    run = TINY.but(pool=pool)
    model = build(run, 1, 10)
    assert tokens(run) == 9 + extra
    assert model.pos_embed is not None
    assert model.pos_embed.shape == (1, tokens(run), run.dim)
    assert (model.cls_token is not None) == bool(extra)
