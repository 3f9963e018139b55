"""Every channel mixer: shapes, dropout, and attention over channels compared with timm's attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import Attention
from torch import nn

from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.parts import CHANNELS
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
PRESENT = [name for name in CHANNELS if CHANNELS[name].layer(TINY, 9) is not None]


def feature_layer(**changes: Any) -> nn.Module:
    """The feature branch of a model's first block."""
    layer = build(TINY.replace(**changes), 1, 10).blocks[0].mlp
    assert isinstance(layer, nn.Module)
    return layer


def test_the_branches_that_are_there_are_known() -> None:
    assert set(CHANNELS) - set(PRESENT) == {"none"}


@pytest.mark.parametrize("channel", PRESENT)
@pytest.mark.parametrize("pool", ["avg", "cls"])
def test_every_feature_of_a_token_is_reached_by_its_features(channel: str, pool: str) -> None:
    """And tokens are kept apart, but by attention over features, whose weights come from all of them."""
    run = TINY.replace(channel=channel, pool=pool)
    layer = feature_layer(channel=channel, pool=pool)
    torch.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, run.tokens, run.dim, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 0].square().sum(), x)
    assert (gradient[0, 0] != 0).all()
    assert bool((gradient[0, 1:] != 0).all()) == (channel == "attention")
    assert bool((gradient[0, 1:] == 0).all()) == (channel != "attention")


@pytest.mark.parametrize("channel", PRESENT)
def test_dropout_reaches_the_branch(channel: str) -> None:
    layer = feature_layer(channel=channel, drop=0.3)
    assert 0.3 in [module.p for module in layer.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize("heads", [1, 3, 9])
@pytest.mark.parametrize("drop", [0.0, 0.2])
def test_attention_over_features_is_timms_on_the_transpose(heads: int, drop: float) -> None:
    ours = feature_layer(channel="attention", channel_heads=heads, drop=drop)
    reference = Attention(9, num_heads=heads, qkv_bias=True, proj_drop=drop)
    reference.load_state_dict(ours.state_dict())
    x, outputs = torch.randn(2, 9, 16), []
    for layer, given in ((ours, x), (reference, x.transpose(1, 2))):
        torch.manual_seed(2)
        outputs.append(layer.train()(given))
    assert torch.equal(outputs[0], outputs[1].transpose(1, 2))


def test_attention_over_features_by_hand() -> None:
    """One head: the sequence are the 16 channels, the width the 9 tokens."""
    layer = feature_layer(channel="attention")
    torch.manual_seed(0)
    x = torch.randn(1, 9, 16)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    queries, keys, values = (x[0].T @ layer.qkv.weight.T + layer.qkv.bias).chunk(3, dim=1)
    mixed = (queries @ keys.T / 3).softmax(dim=1) @ values
    torch.testing.assert_close(layer(x)[0], (mixed @ layer.proj.weight.T + layer.proj.bias).T)


def test_none_has_neither_branch_nor_norm() -> None:
    names = set(build(TINY.replace(channel="none"), 1, 10).state_dict())
    assert not {name for name in names if "norm2" in name or "mlp" in name}
    assert {name for name in names if "norm1" in name}
    assert {name for name in names if "attn" in name}


def test_heads_over_features_divide_the_tokens() -> None:
    with pytest.raises(SpecError, match=r"channel_heads must divide the 10 tokens, got 3"):
        TINY.replace(channel="attention", channel_heads=3, pool="cls")
    with pytest.raises(SpecError, match=r"channel_heads must divide the 197 tokens, got 2"):
        TINY.replace(channel="attention", channel_heads=2, pool="cls", image_size=224, patch_size=16)
    assert TINY.replace(channel_heads=3, pool="cls").channel == "ff", "without it the number of heads does not matter"
