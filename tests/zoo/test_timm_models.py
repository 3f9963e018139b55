"""The models in timm, and its arguments as fields of a run."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import timm
import torch
from timm.data import resolve_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.parts import MIXERS
from ablate.spec.recipes import PAPER
from ablate.spec.run import Run
from ablate.zoo.timm_models import MODELS, run_of
from tests.reference import GRID, AttentionOnly, FeedForwardOnly

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {"img_size": 32, "patch_size": 8, "dim": 32, "depth": 2, "heads": 4, "num_classes": 7}


def small(name: str = "linear_tiny", **arguments: Any) -> VisionTransformer:
    model = timm.create_model(name, **{**SMALL, **arguments})
    assert isinstance(model, VisionTransformer)
    return model


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def on_meta(name: str, **arguments: Any) -> int:
    with torch.device("meta"):
        return count(timm.create_model(name, **arguments))


# The paper's Large keeps a map of 14×14 and shrinks it to the 7×7 grid of P=32 at each step. Ours is shrunk once.
SHRUNKEN_MAP = (GRID**2 - 7**2) * 1024


@pytest.mark.parametrize(
    ("name", "paper", "saved"),
    [
        ("linear_tiny", 7_676_332, 0),
        ("linear_base", 61_943_020, 0),
        ("linear_large", 206_363_576, SHRUNKEN_MAP),
        ("attention_only_tiny", 4_039_360, 0),
    ],
)
def test_parameters_are_the_papers(name: str, paper: int, saved: int) -> None:
    assert on_meta(name) == paper - saved


def test_the_reference_has_the_papers_parameters_too() -> None:
    assert SHRUNKEN_MAP == 150_528
    with torch.device("meta"):
        assert count(FeedForwardOnly(192, 12, 16)) == 7_676_332
        assert count(FeedForwardOnly(768, 12, 16)) == 61_943_020
        assert count(FeedForwardOnly(1024, 24, 32)) == 206_363_576
        assert count(AttentionOnly(192, 12, 3)) == 4_039_360


def test_attention_only_with_the_second_norm_over_channels() -> None:
    assert on_meta("attention_only_tiny", channel_norm="channel") == 4_039_240


@pytest.mark.parametrize(
    ("name", "timms"),
    [("ablate_tiny", "vit_tiny_patch16_224"), ("ablate_small", "vit_small_patch16_224"),
     ("ablate_base", "vit_base_patch16_224"), ("ablate_large", "vit_large_patch16_224")],
)  # fmt: skip
def test_the_familys_bases_are_timms_vits(name: str, timms: str) -> None:
    assert on_meta(name) == on_meta(timms)


def test_timm_lists_them() -> None:
    assert set(timm.list_models(["linear_*", "ablate_*", "attention_only_*"])) == set(MODELS)
    assert set(timm.list_models(module="timm_models")) == set(MODELS)
    assert not timm.list_models("linear_*", pretrained=True)


@pytest.mark.parametrize("name", MODELS)
def test_timm_has_their_image_size(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, depth=1)
    config = resolve_data_config({}, model=model)
    assert config["input_size"] == (3, 224, 224)
    assert (config["interpolation"], config["crop_pct"]) == ("bicubic", 0.875)
    assert config["mean"] == (0.485, 0.456, 0.406)
    assert config["std"] == (0.229, 0.224, 0.225)
    assert model.default_cfg is model.pretrained_cfg
    assert model.get_submodule(model.pretrained_cfg["first_conv"]) is model.patch_embed.proj
    assert model.get_submodule(model.pretrained_cfg["classifier"]) is model.get_classifier()


@pytest.mark.parametrize("name", PAPER)
def test_they_are_the_runs_of_the_recipes(name: str) -> None:
    run = Run.from_dict({**PAPER[name], "depth": 1, "seed": 3})
    assert run == run_of(name, depth=1, seed=3)
    model, built = timm.create_model(name, depth=1, seed=3), build(run, 3, 1000)
    assert type(model) is VisionTransformer
    for (one, mine), (other, expected) in zip(model.state_dict().items(), built.state_dict().items(), strict=True):
        assert one == other
        assert torch.equal(mine, expected), one


@pytest.mark.parametrize("name", PAPER)
def test_the_class_token_starts_as_the_papers(name: str) -> None:
    token = timm.create_model(name, depth=1, seed=0).cls_token
    assert token.std().item() == pytest.approx(0.02, rel=0.15)


def test_timms_words_reach_the_fields() -> None:
    run = run_of("linear_tiny", img_size=(64, 64), drop_rate=0.1, drop_path_rate=0.2, global_pool="avg", num_heads=4)
    assert (run.image_size, run.drop, run.drop_path, run.pool, run.heads) == (64, 0.1, 0.2, "avg", 4)
    assert run_of("linear_tiny", global_pool="token").pool == "cls"


def test_drop_rate_is_the_papers_drop() -> None:
    """After the position embedding and in both feed-forward layers, never before the head."""
    model = small(drop_rate=0.3)
    dropouts = {name: part.p for name, part in model.named_modules() if isinstance(part, nn.Dropout) and part.p}
    inside = {f"blocks.{at}.{part}.{drop}" for at in (0, 1) for part in ("attn", "mlp") for drop in ("drop1", "drop2")}
    assert dropouts == dict.fromkeys({"pos_drop", *inside}, 0.3)


def test_an_option_that_a_script_always_passes_does_not_contradict_a_field() -> None:
    assert run_of("linear_tiny", drop_rate=0.0, drop=0.1).drop == 0.1
    assert run_of("linear_tiny", drop_rate=0.1, drop=0.1).drop == 0.1


@pytest.mark.parametrize("word", ["img_size", "image_size"])
def test_images_classes_and_channels(word: str) -> None:
    model = timm.create_model(
        "ablate_tiny", in_chans=1, **{**{k: v for k, v in SMALL.items() if k != "img_size"}, word: 32}
    )
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_family_takes_any_mixer(mixer: str) -> None:
    model = small("ablate_tiny", mixer=mixer, pool="avg", global_pool=None)
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    assert model.cls_token is None


SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"mixr": "pool"}, r"unknown argument of a model 'mixr': did you mean 'mixer'\? known are"),
    "training": ({"lr": 0.1}, "unknown argument of a model 'lr'"),
    "timm's": ({"bn_momentum": 0.1}, "unknown argument of a model 'bn_momentum'"),
    "mixer": ({"mixer": "pol"}, r"unknown mixer 'pol': did you mean 'pool'\?"),
    "pool": ({"global_pool": "map"}, "pool must be one of avg, cls, got 'map'"),
    "oblong": ({"img_size": (32, 64)}, "img_size must be a square, got 32×64"),
    "size": ({"img_size": 30}, "patch_size must divide image_size, which is 30, got 8"),
    "twice": ({"drop": 0.1, "drop_rate": 0.2}, "drop and drop_rate must not differ, got 0.1 and 0.2; pass one of them"),
    "two sizes": ({"image_size": 64}, "image_size and img_size must not differ, got 64 and 32; pass one of them"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_wrong_arguments_are_sentences(case: str) -> None:
    arguments, sentence = SENTENCES[case]
    with pytest.raises(SpecError, match=sentence) as caught:
        small("ablate_tiny", **arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(SpecError, match="unknown model 'linear_tinny': did you mean 'linear_tiny'"):
        run_of("linear_tinny")


def test_weights_are_drawn_as_a_script_seeds_them() -> None:
    """timm's scripts call torch.manual_seed; a `seed` of their own decides alone."""
    heads = []
    for global_seed, own in ((1, {}), (1, {}), (2, {}), (1, {"seed": 5}), (2, {"seed": 5})):
        torch.manual_seed(global_seed)
        heads.append(small(**own).get_parameter("head.weight"))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert torch.equal(heads[3], heads[4])


@pytest.mark.parametrize("name", ["linear_tiny", "attention_only_tiny", "ablate_tiny"])
def test_what_timms_transformer_offers_works(name: str) -> None:
    model, images = small(name).eval(), torch.randn(2, 3, 32, 32)
    plain = model(images)
    model.set_grad_checkpointing()
    assert torch.allclose(model.train()(images), plain, atol=1e-6)
    assert {"pos_embed", "cls_token"} <= model.no_weight_decay()
    assert model.forward_features(images).shape == (2, 17, 32)
    assert [part.shape for part in model.get_intermediate_layers(images, 2)] == [(2, 16, 32)] * 2
    model.reset_classifier(3)
    assert model(images).shape == (2, 3)
    assert model.get_classifier().out_features == 3


def test_features_only() -> None:
    features = timm.create_model("linear_tiny", features_only=True, **SMALL, out_indices=(0, 1))
    assert [part.shape for part in features(torch.randn(2, 3, 32, 32))] == [(2, 32, 4, 4)] * 2


def test_there_is_nothing_to_download() -> None:
    with pytest.raises(
        SpecError, match=r"^linear_tiny has no weights to download; pass the path of a file as checkpoint_path"
    ):
        small(pretrained=True)


def test_the_module_offers_them_as_functions() -> None:
    found = importlib.import_module("ablate.timm_models")
    assert set(found.__all__) == set(MODELS)
    assert all(callable(getattr(found, name)) for name in MODELS)
