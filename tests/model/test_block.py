"""The block for variants, compared with its mixers computed by hand from its layers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from timm.layers import DropPath
from timm.models.vision_transformer import Block
from torch import nn

from ablate.model.block import TokenNorm, VariantBlock
from ablate.model.build import build
from ablate.spec.run import Run
from tests.tiny import DISTINCT, TINY, VARIANTS

pytestmark = pytest.mark.usefixtures("one_thread")
AXES = ("channel", "token")


def block_of(run: Run) -> Any:
    """The last block, its norms no longer the identity's."""
    block = build(run, 1, 10).blocks[-1]
    torch.manual_seed(0)
    for module in block.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return block


def normed(x: torch.Tensor, norm: nn.LayerNorm, axis: str) -> torch.Tensor:
    """Mean 0 and variance 1 over an axis, then weight and bias, by the definition."""
    dim = 1 if axis == "token" else 2
    centred = x - x.mean(dim, keepdim=True)
    scaled = centred / (centred.square().mean(dim, keepdim=True) + 1e-6).sqrt()
    shape = (1, -1, 1) if axis == "token" else (1, 1, -1)
    return scaled * norm.weight.view(shape) + norm.bias.view(shape)


@pytest.mark.parametrize("variant", DISTINCT)
@pytest.mark.parametrize("order", ["token_first", "channel_first"])
def test_a_block_is_its_branches_one_after_the_other(variant: str, order: str) -> None:
    for token_norm, channel_norm in product(AXES, AXES):
        run = VARIANTS[variant].replace(order=order, token_norm=token_norm, channel_norm=channel_norm, pool="cls")
        block = block_of(run).eval()
        torch.manual_seed(1)
        x = torch.randn(2, run.tokens, run.dim)
        found, steps = block(x), [("attn", "norm1", token_norm), ("mlp", "norm2", channel_norm)]
        for layer, norm, axis in steps if order == "token_first" else reversed(steps):
            if hasattr(block, layer):
                x = x + getattr(block, layer)(normed(x, getattr(block, norm), axis))
        torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)


def test_the_order_and_the_axis_of_a_norm_change_the_output() -> None:
    x = torch.randn(2, 9, 16)
    changes: list[dict[str, str]] = [{}, {"order": "channel_first"}, {"token_norm": "token"}, {"channel_norm": "token"}]
    outputs = [block_of(TINY.replace(mixer="patch_ff", **change))(x) for change in changes]
    for one, other in product(range(4), range(4)):
        assert torch.allclose(outputs[one], outputs[other], atol=1e-5) == (one == other)


def test_a_norm_over_the_tokens_has_a_weight_for_each() -> None:
    model = build(TINY.replace(token_norm="token", channel_norm="channel", pool="cls"), 1, 10)
    block: Any = model.blocks[0]
    assert isinstance(block.norm1, TokenNorm)
    assert (block.norm1.weight.shape, block.norm2.weight.shape) == ((10,), (16,))


@pytest.mark.parametrize("variant", DISTINCT)
def test_timms_block_stands_where_nothing_needs_another(variant: str) -> None:
    run = VARIANTS[variant]
    for change, plain in (({}, True), ({"order": "channel_first"}, False), ({"token_norm": "token"}, False)):
        block = build(run.replace(**change), 1, 10).blocks[0]
        assert (type(block) is Block) == (plain and "none" not in (run.mixer, run.channel))
        assert isinstance(block, Block if plain else VariantBlock)


@pytest.mark.parametrize("gone", [{"mixer": "none"}, {"channel": "none"}, {}], ids=str)
def test_stochastic_depth_drops_each_branch_that_is_there(gone: dict[str, str]) -> None:
    block = block_of(TINY.replace(drop_path=0.5, order="channel_first", **gone))
    assert len([module for module in block.modules() if isinstance(module, DropPath)]) == 2 - len(gone)
    torch.manual_seed(0)
    x = torch.randn(1, 9, 16).expand(1024, 9, 16)
    same = (block.train()(x) == x).all(dim=(1, 2)).float().mean().item()
    assert same == pytest.approx(0.5 ** (2 - len(gone)), abs=0.08)  # five standard deviations
