"""Every stem: one token per patch in row order, and frozen weights that stay unchanged."""

from __future__ import annotations

import pytest
import torch
from timm.layers import LayerNorm2d, PatchEmbed
from torch import nn

from ablate.data.images import Images
from ablate.data.open import open_images
from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.parts import STEMS
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.loop import fit
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def stem_of(run: Run, channels: int = 1) -> nn.Module:
    return build(run, channels, 10).patch_embed


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize(("image_size", "patch_size"), [(12, 4), (8, 2), (16, 16)])
def test_a_stem_gives_a_token_for_each_patch(stem: str, image_size: int, patch_size: int) -> None:
    run = TINY.replace(stem=stem, image_size=image_size, patch_size=patch_size, dim=24, heads=3)
    layer = stem_of(run, 3)
    out = layer(torch.randn(2, 3, image_size, image_size))
    assert out.shape == (2, run.side**2, 24)
    assert out.std() > 0


@pytest.mark.parametrize("stem", STEMS)
def test_tokens_come_in_the_order_of_reading(stem: str) -> None:
    """With the first pixel of a patch moves that patch's token alone: convolutions of stride 2 are centred there."""
    layer = stem_of(TINY.replace(stem=stem)).eval()
    torch.manual_seed(0)
    plain = torch.randn(1, 1, 12, 12)
    for at in range(9):
        images = plain.clone()
        images[:, :, 4 * (at // 3), 4 * (at % 3)] += 3
        moved = (layer(images) - layer(plain))[0].abs().sum(dim=1)
        assert (moved > 1e-3).nonzero().tolist() == [[at]]


def test_patchify_and_frozen_are_timms_patch_embedding() -> None:
    for stem in ("patchify", "frozen"):
        layer = stem_of(TINY.replace(stem=stem), 3)
        reference = PatchEmbed(12, 4, 3, 16)
        reference.load_state_dict(layer.state_dict())
        images = torch.randn(2, 3, 12, 12)
        assert torch.equal(layer(images), reference(images))


def test_frozen_starts_as_patchify_does() -> None:
    one, other = (stem_of(TINY.replace(stem=stem)) for stem in ("patchify", "frozen"))
    for mine, yours in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, yours)
        assert mine.requires_grad
        assert not yours.requires_grad


@pytest.mark.parametrize("changes", [{"stem": "frozen"}, {"pos_embed": "sincos"}, {"mixer": "random"}], ids=str)
def test_what_is_frozen_does_not_change_in_training(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run, models = TINY.replace(dataset="digits", lr=1e-2, weight_decay=0.5, **changes), []

    def spy(run: Run, channels: int, classes: int) -> nn.Module:
        models.append(build(run, channels, classes))
        return models[0]

    monkeypatch.setattr("ablate.train.learner.build", spy)
    images: Images = open_images(run, Resources(), CPU)[0]
    fit(run, images, CPU, lambda _: None)
    before = dict(build(run, 1, 10).named_parameters())
    frozen = {name for name, parameter in before.items() if not parameter.requires_grad}
    assert frozen
    for name, parameter in models[0].named_parameters():
        assert torch.equal(parameter, before[name]) == (name in frozen), name


@pytest.mark.parametrize(("patch_size", "widths"), [(2, [32]), (4, [16, 32]), (8, [8, 16, 32]), (16, [4, 8, 16, 32])])
def test_the_early_convolutions_double_their_width_up_to_dim(patch_size: int, widths: list[int]) -> None:
    layer = stem_of(TINY.replace(stem="conv", image_size=32, patch_size=patch_size, dim=32))
    convolutions = [module for module in layer.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [*widths, 32]
    assert [module.stride for module in convolutions] == [(2, 2)] * len(widths) + [(1, 1)]
    assert [module.kernel_size for module in convolutions] == [(3, 3)] * len(widths) + [(1, 1)]
    assert [module.bias is None for module in convolutions] == [True] * len(widths) + [False]
    assert len([module for module in layer.modules() if isinstance(module, LayerNorm2d)]) == len(widths)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patch_size": 3}, "patch_size must be a power of 2 with stem 'conv', got 3"),
        ({"patch_size": 1}, "patch_size must be a power of 2 with stem 'conv', got 1"),
        ({"dim": 18, "patch_size": 4, "image_size": 16}, None),
        (
            {"dim": 18, "patch_size": 8, "image_size": 16},
            "dim must be divisible by 4 with stem 'conv' and patch_size 8, got 18",
        ),
    ],
    ids=str,
)
def test_what_the_early_convolutions_cannot_halve_is_refused(changes: dict[str, int], sentence: str | None) -> None:
    if sentence is None:
        assert TINY.replace(stem="conv", **changes).stem == "conv"
        return
    with pytest.raises(SpecError) as error:
        TINY.replace(stem="conv", **changes)
    assert sentence in str(error.value)
