"""The model that an argument of `ablate evaluate` names, and messages if it names none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.zoo.candidates import OfRun, OfTimm, find
from ablate.zoo.released import describe
from tests.reference import FeedForwardOnly, redrawn
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def left(root: Root, run: Run, /, **more: Any) -> Path:
    """The weights a run leaves."""
    model = build(run, 1, 10)
    path = root.run_folder(run.key) / "weights.pt"
    path.parent.mkdir(parents=True)
    content = {
        "run": run.to_dict(),
        "channels": 1,
        "classes": list("0123456789"),
        "model": model.state_dict(),
        "ema": None,
    }
    torch.save(content | more, path)
    return path


def test_a_runs_key_or_its_beginning(root: Root) -> None:
    path = left(root, TINY)
    for word in (TINY.key, TINY.key[:5], str(path)):
        found = find(word, root)
        assert isinstance(found, OfRun)
        assert (found.run, found.channels, found.classes, found.path) == (TINY, 1, 10, path)
        expected = build(TINY, 1, 10).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in found.model().state_dict().items())


def test_the_average_of_a_runs_weights(root: Root) -> None:
    averaged = {name: value + 1 for name, value in build(TINY, 1, 10).state_dict().items()}
    left(root, TINY, ema=averaged)
    found = find(TINY.key, root, averaged=True).model()  # type: ignore[call-arg]
    assert torch.equal(found.state_dict()["norm.bias"], averaged["norm.bias"])


def test_no_average_is_reported(root: Root) -> None:
    left(root, TINY)
    with pytest.raises(SpecError, match=r"weights\.pt must contain averaged weights under ema"):
        find(TINY.key, root, averaged=True)


def test_two_runs_of_one_beginning(root: Root) -> None:
    for seed in range(20):
        left(root, TINY.replace(seed=seed))
    first = TINY.key[0]
    alike = [TINY.replace(seed=seed).key for seed in range(20) if TINY.replace(seed=seed).key.startswith(first)]
    assert len(alike) > 1
    with pytest.raises(SpecError, match=f"^{len(alike)} runs begin with '{first}': .*{TINY.key}.*; choose one"):
        find(first, root)


def test_a_run_without_weights(root: Root) -> None:
    root.run_folder(TINY.key).mkdir()
    with pytest.raises(SpecError, match=f"run {TINY.key} kept no weights under .*; see --keep"):
        find(TINY.key, root)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k", "linear_tiny"])
def test_a_name_of_timms(name: str, root: Root) -> None:
    assert find(name, root) == OfTimm(name)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("vit_tinny_patch16_224", r"did you mean 'vit_tiny_patch16_224'\? pass the name of a timm model"),
        ("linear_tinyy", "did you mean 'linear_tiny'"),
        ("vit_tinyy", r"did you mean 'vit_tiny_"),
        ("rsnet50", "did you mean 'resnet50'"),
        ("resnett18", "did you mean 'resnet18'"),
        ("hf-hub:timm/vit", "there is no weight file hf-hub:timm/vit"),
        ("0123456789", "there is no model, weight file or run '0123456789': pass the name"),
        ("weights.pth", "there is no weight file weights.pth$"),
        ("runs/nowhere", "there is no weight file runs/nowhere$"),
    ],
)
def test_a_word_that_means_nothing(word: str, sentence: str, root: Root) -> None:
    with pytest.raises(SpecError, match=sentence) as caught:
        find(word, root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("patch_size", "side", "outer"), [(16, 224, True), (16, 48, False)])
def test_the_papers_weights_tell_their_model(
    patch_size: int, side: int, outer: bool, root: Root, tmp_path: Path
) -> None:
    reference = redrawn(FeedForwardOnly(32, 2, patch_size, classes=7, image=side))
    path = tmp_path / "linear-tiny-checkpoint.pth"
    torch.save({"model": reference.state_dict()} if outer else reference.state_dict(), path)
    found = find(str(path), root)
    assert isinstance(found, OfRun)
    assert (found.run.dim, found.run.depth, found.run.patch_size, found.run.image_size) == (32, 2, patch_size, side)
    assert (found.channels, found.classes, found.run.dataset, found.run.eval_crop) == (3, 7, "imagenet", 0.875)
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        assert torch.allclose(found.model().eval()(images), reference.float()(images), atol=1e-4)


def test_the_papers_own_sizes() -> None:
    """As `linear-tiny-checkpoint.pth` and `linear-base-checkpoint.pth` have them."""
    for dim, params in ((192, 7_676_332), (768, 61_943_020)):
        with torch.device("meta"):
            reference = FeedForwardOnly(dim, 12, 16)
            run, channels, classes = describe(reference.state_dict())
            assert sum(p.numel() for p in build_on_meta(run, channels, classes)) == params
        assert (run.depth, run.tokens, run.mlp_ratio, classes) == (12, 197, 4.0, 1000)


def build_on_meta(run: Run, channels: int, classes: int) -> list[torch.nn.Parameter]:
    from ablate.model.build import assemble

    return list(assemble(run, channels, classes, "skip").parameters())


def test_released_weights_that_are_not_all_there(root: Root, tmp_path: Path) -> None:
    weights = dict(redrawn(FeedForwardOnly(32, 2, 16, classes=7, image=48)).state_dict())
    del weights["head.weight"]
    torch.save(weights, tmp_path / "part.pth")
    with pytest.raises(SpecError, match="names of the released code, but are not of its feed-forward model: 'head"):
        find(str(tmp_path / "part.pth"), root)


def test_a_file_that_does_not_say_its_model(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    with pytest.raises(SpecError, match=r"does not contain the name of its model; use evaluate MODEL --weights"):
        find(str(path), root)


def test_a_file_of_ours_that_is_damaged(root: Root) -> None:
    path = left(root, TINY, run={"mixr": "attention"})
    with pytest.raises(SpecError, match=r"not a weight file of this version of ablate: unknown field 'mixr'"):
        find(str(path), root)


def test_weights_of_another_size_of_image(root: Root) -> None:
    left(root, TINY)
    found = find(TINY.key, root)
    assert isinstance(found, OfRun)
    larger = OfRun(TINY.replace(image_size=16), 1, 10, found.weights, found.path)
    with pytest.raises(SpecError, match=r"weights\.pt does not fit the model: .*pos_embed"):
        larger.model()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_for_a_model_of_timms(ending: str, tmp_path: Path) -> None:
    model, path = timm.create_model("test_vit", num_classes=3), tmp_path / f"some.{ending}"
    weights = model.state_dict()
    torch.save({"state_dict": weights}, path) if ending == "pth" else save_file(weights, path)
    found = OfTimm("test_vit", path).model(3)
    assert all(torch.equal(value, weights[name]) for name, value in found.state_dict().items())
    with pytest.raises(SpecError, match="must have 1,000 classes, as the data, got 3"):
        OfTimm("test_vit", path).model(1000)
    with pytest.raises(SpecError, match="does not fit the model: "):
        OfTimm("test_vit2", path).model(3)


def test_random_weights_take_the_datas_classes() -> None:
    assert OfTimm("test_vit").model(7)(torch.zeros(1, 3, 160, 160)).shape == (1, 7)
    assert OfTimm("test_vit").model(7, 96)(torch.zeros(1, 3, 96, 96)).shape == (1, 7)
    assert OfTimm("test_convnext").model(7, 96)(torch.zeros(1, 3, 96, 96)).shape == (1, 7)


def test_models_of_ours_cannot_be_downloaded() -> None:
    with pytest.raises(SpecError, match="linear_tiny has no weights to download"):
        OfTimm("linear_tiny", pretrained=True).model(1000)
