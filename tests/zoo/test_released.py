"""Released weights give the logits of the paper's model, and weights that do not fit are reported."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from ablate.spec.errors import SpecError
from ablate.zoo.released import convert, load, positions
from ablate.zoo.timm_models import run_of
from tests.reference import AttentionOnly, FeedForwardOnly, redrawn

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {"dim": 32, "depth": 2, "heads": 4, "num_classes": 7}


def small(**changes: Any) -> FeedForwardOnly:
    """A reference as large as `SMALL`, on a grid of 3×3."""
    made = redrawn(FeedForwardOnly(**{"dim": 32, "depth": 2, "patch_size": 16, "classes": 7, "image": 48, **changes}))
    assert isinstance(made, FeedForwardOnly)
    return made


def ours(name: str = "linear_tiny", **arguments: Any) -> nn.Module:
    """timm's `create_model` in float64, ready to compare."""
    return timm.create_model(name, **{"dtype": torch.float64, **arguments}).eval()


def small_ours(**arguments: Any) -> nn.Module:
    return ours(**{**SMALL, "img_size": 48, **arguments})


def saved(content: Any, where: Path) -> str:
    path = where / "checkpoint.pth"
    torch.save(content, path)
    return str(path)


def assert_equal_logits(mine: nn.Module, reference: nn.Module, side: int = 224) -> None:
    images = torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = mine(images), reference(images)
    assert expected.std() > 0.01
    assert (expected[0] - expected[1]).abs().max() > 0.01, "the logits depend on the image"
    assert (found - expected).abs().max() < 1e-9 * expected.abs().max()


@pytest.mark.parametrize("outer", [True, False])
def test_tiny_gives_the_references_logits(outer: bool, tmp_path: Path) -> None:
    reference = redrawn(FeedForwardOnly(192, 12, 16))
    content = {"model": reference.state_dict(), "epoch": 299} if outer else reference.state_dict()
    assert_equal_logits(ours(checkpoint_path=saved(content, tmp_path)), reference)


@pytest.mark.parametrize(
    ("name", "patch_size", "heads"), [("linear_base", 16, 12), ("linear_large", 32, 16)], ids=["base", "large"]
)
def test_shrunken_larger_ones_too(name: str, patch_size: int, heads: int, tmp_path: Path) -> None:
    """The large one has a grid of 7×7, so its map of 14×14 is resized: once by ours, at each step by the reference."""
    reference = redrawn(FeedForwardOnly(96, 3, patch_size, classes=11))
    path = saved({"model": reference.state_dict()}, tmp_path)
    model = ours(name, embed_dim=96, depth=3, num_heads=heads, num_classes=11, checkpoint_path=path)
    assert model.get_parameter("pos_embed").shape == (1, (224 // patch_size) ** 2 + 1, 96)
    assert_equal_logits(model, reference)


@pytest.mark.parametrize("side", [48, 256])
def test_other_grids_both_ways(side: int, tmp_path: Path) -> None:
    reference = small(image=side)
    model = small_ours(img_size=side, checkpoint_path=saved(reference.state_dict(), tmp_path))
    assert_equal_logits(model, reference, side)


def test_attention_only_gives_the_references_logits(tmp_path: Path) -> None:
    reference = redrawn(AttentionOnly(192, 12, 3))
    model = ours("attention_only_tiny", checkpoint_path=saved(reference.state_dict(), tmp_path))
    assert_equal_logits(model, reference)


def test_a_grid_of_the_same_size_is_taken_as_it_is() -> None:
    grid, cls = torch.randn(1, 5, 14, 14), torch.randn(1, 1, 5)
    found = positions(grid, cls, 14)
    assert torch.equal(found[:, :1], cls)
    assert torch.equal(found[0, 1 + 14 * 3 + 2], grid[0, :, 3, 2])


def test_halving_the_map_means_the_middle_of_four() -> None:
    """Corners are not aligned: from 14 to 7, each new point is in the centre of four old ones."""
    grid = torch.randn(1, 5, 14, 14)
    found = positions(grid, torch.zeros(1, 1, 5), 7)[0, 1:].T.reshape(5, 7, 7)
    assert torch.allclose(found, nn.functional.avg_pool2d(grid, 2)[0], atol=1e-6)


def test_loading_leaves_the_callers_weights_alone() -> None:
    weights = small().state_dict()
    names = list(weights)
    small_ours().load_state_dict(weights)
    assert list(weights) == names


def test_ours_are_saved_under_timms_names_and_load_again(tmp_path: Path) -> None:
    first = small_ours(checkpoint_path=saved(small().state_dict(), tmp_path))
    second = small_ours(checkpoint_path=saved(first.state_dict(), tmp_path))
    assert "blocks.0.attn.fc1.weight" in first.state_dict()
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name]), name


def test_a_copy_takes_them_too() -> None:
    """As timm's running average of the weights is a deep copy of the model."""
    from copy import deepcopy

    reference = small()
    copy = deepcopy(small_ours())
    copy.load_state_dict(reference.state_dict())
    assert_equal_logits(copy, reference, 48)


def test_inside_another_module_they_have_its_prefix() -> None:
    reference = small()
    outer = nn.ModuleDict({"inner": small_ours()})
    outer.load_state_dict({f"inner.{name}": weights for name, weights in reference.state_dict().items()})
    assert_equal_logits(outer["inner"], reference, 48)


def test_another_number_of_classes_is_timms_adaptation(tmp_path: Path) -> None:
    """With `pretrained_cfg_overlay`, as train.py's --pretrained-path has it, timm takes the head off first."""
    reference = small()
    overlay = {"file": saved({"model": reference.state_dict()}, tmp_path), "num_classes": -1}
    model = small_ours(num_classes=3, pretrained=True, pretrained_cfg_overlay=overlay)
    assert torch.equal(model.get_parameter("cls_token"), reference.cls_token)
    assert model.get_parameter("head.weight").shape == (3, 32)


def without(weights: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in weights.items() if name not in names}


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "classes": ({"num_classes": 10}, r"^the weights do not fit: head.weight must be 10×32, got 7×32; head.bias"),
    "width": ({"dim": 64}, r"cls_token must be 1×1×64, got 1×1×32; .* and \d+ more$"),
    "channels": ({"in_chans": 1}, r"patch_embed.proj.weight must be 32×1×16×16, got 32×3×16×16$"),
    "size": ({"img_size": 64}, r"blocks.0.norm1.weight must be 17, got 10; "),
    "deeper": ({"depth": 3}, r"^the weights lack blocks.2.norm1.weight; .* and 9 more \(names in timm\)$"),
    "shallower": ({"depth": 1}, r"^the model has no blocks.1.norm2.weight; .* which the weights contain$"),
    "order": (
        {"order": "token_first"},
        r"order must be 'channel_first' for weights of the paper's feed-forward model, got 'token_first'$",
    ),
    "mixer": (
        {"mixer": "attention"},
        r"mixer must be 'patch_ff' for weights of the paper's feed-forward model, got 'attention'$",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_weights_that_do_not_fit_are_named(case: str, tmp_path: Path) -> None:
    changes, sentence = MISFITS[case]
    with pytest.raises(SpecError, match=sentence) as caught:
        small_ours(**changes, checkpoint_path=saved({"model": small().state_dict()}, tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_named() -> None:
    weights = small().state_dict()
    model = small_ours()
    with pytest.raises(SpecError, match=r"lack blocks\.1.attn.fc2.bias \(names in timm\)$"):
        model.load_state_dict(without(weights, "blocks.1.mlp2.fc2.bias"))
    with pytest.raises(SpecError, match=r"^the weights lack pos_encoding\.cls_pos_embed$"):
        model.load_state_dict(without(weights, "pos_encoding.cls_pos_embed"))
    with pytest.raises(SpecError, match=r"pos_encoding\.pos_embed must be a map 1×D×H×W, got 1×196×32"):
        model.load_state_dict({**weights, "pos_encoding.pos_embed": torch.zeros(1, 196, 32)})
    with pytest.raises(SpecError, match=r"pos_encoding\.cls_pos_embed must be 1×1×32, got 1×1×5$"):
        model.load_state_dict({**weights, "pos_encoding.cls_pos_embed": torch.zeros(1, 1, 5)})
    with pytest.raises(SpecError, match=r"norm\.bias must be 32, got a str$"):
        model.load_state_dict({**weights, "norm.bias": "gone"})


def test_timms_own_strictness_stays() -> None:
    model = small_ours()
    part = without(model.state_dict(), "norm.bias")
    with pytest.raises(RuntimeError, match=r"norm\.bias"):
        model.load_state_dict(part)
    assert model.load_state_dict(part, strict=False).missing_keys == ["norm.bias"]


def test_load_reads_a_file_into_a_model(tmp_path: Path) -> None:
    reference, model = small(), small_ours()
    # DeiT's code leaves its options and its running average in the file; the weights are under "model".
    options = argparse.Namespace(drop=0.1)
    load(model, saved({"model": reference.state_dict(), "model_ema": {}, "args": options}, tmp_path))  # type: ignore[arg-type]
    assert_equal_logits(model, reference, 48)


def test_load_names_what_does_not_fit(tmp_path: Path) -> None:
    model: Any = small_ours()
    part = without(model.state_dict(), "norm.bias")
    with pytest.raises(SpecError, match=r"checkpoint.pth does not fit the model: .*norm\.bias") as caught:
        load(model, saved(part, tmp_path))
    assert "\n" not in str(caught.value)


def test_conversion_keeps_what_it_does_not_know() -> None:
    weights = OrderedDict(small().state_dict(), **{"blocks.0.extra.weight": torch.zeros(1), "other": torch.zeros(1)})
    found = convert(weights, run_of("linear_tiny", img_size=48))
    assert {"blocks.0.extra.weight", "other", "blocks.0.attn.fc1.weight", "blocks.0.norm2.weight"} <= set(found)
