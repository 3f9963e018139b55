"""Images decoded once, or when needed: the same images, in the same order, with the same labels.

The images here are as large as the run's, so that both ways crop the same; they are noise, which shows every fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps
from timm.data import create_transform

from ablate.data.images import Images, Share
from ablate.data.open import open_images
from ablate.data.resident import Decoded
from ablate.data.workers import FromFiles
from ablate.spec.resources import Resources
from tests.tiny import TINY, as_parquet, noise, noise_folder, odd_folder

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
SIDE = 24
RUN = TINY.replace(dataset="mine", image_size=SIDE, patch_size=4, batch_size=8, holdout=0.0, hflip=0.5)
CLOSE = 2 / 255 / 0.224  # two steps of 256, as the narrowest channel is normalised
RECIPES: dict[str, dict[str, Any]] = {
    "flip": {},
    "random resized crop": {"crop_min_area": 0.1},
    "padded crop": {"crop_padding": 3},
    "erasing": {"random_erasing": 0.5},
    "repeats": {"crop_min_area": 0.1, "repeats": 2},
    "a quarter": {"crop_min_area": 0.1, "repeats": 2, "train_fraction": 0.25},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noise_folder(tmp_path_factory.mktemp("images"), 16, 5, side=SIDE)


def both(folder: Path, **changes: Any) -> tuple[Images, Images]:
    run = RUN.replace(**changes)
    resources = Resources(data={run.dataset: str(folder)}, workers=0)
    resident, _ = open_images(run.replace(loader="resident"), resources, CPU)
    needed, _ = open_images(run.replace(loader="workers"), resources, CPU)
    assert isinstance(resident, Decoded)
    assert isinstance(needed, FromFiles)
    return resident, needed


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_shows_the_same(folder: Path, recipe: str) -> None:
    resident, needed = both(folder, **RECIPES[recipe])
    for epoch in (0, 1):
        pairs = list(zip(resident.training(epoch), needed.training(epoch), strict=True))
        assert len(pairs) == resident.steps == 4
        for (images, labels), (others, other_labels) in pairs:
            assert torch.equal(labels, other_labels)
            assert (images - others).abs().max() <= CLOSE


@pytest.mark.parametrize("recipe", ["flip", "padded crop", "erasing"])
def test_where_nothing_is_resampled_it_is_the_same_to_the_last_bit(folder: Path, recipe: str) -> None:
    resident, needed = both(folder, **RECIPES[recipe])
    for one, other in zip(resident.training(1), needed.training(1), strict=True):
        assert torch.equal(one[0], other[0])


def test_colours_are_changed_alike(folder: Path) -> None:
    """By the same factors in the same order; each of three steps may round the other way."""
    resident, needed = both(folder, color_jitter=0.4)
    for one, other in zip(resident.training(0), needed.training(0), strict=True):
        assert (one[0] - other[0]).abs().max() <= 2 * CLOSE


@pytest.mark.parametrize("size", [12, 16, SIDE])
@pytest.mark.parametrize("crop", [0.7, 0.875, 0.95, 1.0])
def test_evaluation_is_the_same_to_the_last_bit_at_any_size(folder: Path, size: int, crop: float) -> None:
    resident, needed = both(folder, image_size=size, eval_crop=crop)
    for one, other in zip(resident.evaluation("test"), needed.evaluation("test"), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_going_on_and_shares_are_the_same(folder: Path) -> None:
    resident, needed = both(folder, crop_min_area=0.1)
    share = Share(1, 2, 2)
    for one, other in zip(resident.training(1, 2, share), needed.training(1, 2, share), strict=True):
        assert torch.equal(one[1], other[1])
        assert (one[0] - other[0]).abs().max() <= CLOSE


@pytest.mark.parametrize("crop", [0.8, 0.9, 0.95])
def test_images_of_all_shapes_are_evaluated_the_same(tmp_path: Path, crop: float) -> None:
    """The middle of a middle is the middle, for sides that differ by an odd number too."""
    folder = noise_folder(tmp_path, 8, 12)
    for number, path in enumerate(sorted(folder.glob("val/*/*.png"))):
        noise(SIDE + number, SIDE + (7 * number) % 24, seed=number).save(path)
    for size in (20, SIDE):
        resident, needed = both(folder, image_size=size, eval_crop=crop)
        for one, other in zip(resident.evaluation("test"), needed.evaluation("test"), strict=True):
            assert torch.equal(one[0], other[0])


def test_real_cifar_is_the_same_both_ways(real: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred of its images, through Parquet: in order and in any order."""
    from ablate.data.datasets import cifar10
    from ablate.data.resident import Squares
    from ablate.data.workers import Decoding

    run = RUN.replace(dataset="cifar10", image_size=32)
    data = cifar10.load(run, real("cifar10"))
    monkeypatch.setattr(type(data.reader), "random_access", lambda self: self)
    indices = torch.arange(49_900, 50_100)
    squares, corrupt = Squares(run, data, 32)[indices]
    needed, _ = Decoding(run, data)[None, torch.stack([indices, indices * 0], dim=1)]
    assert torch.equal(squares, needed)
    assert not corrupt


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("layout", ["folder", "parquet"])
def test_both_show_timms_pixels_and_turn_them_only_on_request(tmp_path: Path, layout: str, turn: bool) -> None:
    folder = odd_folder(tmp_path / "odd")
    place = folder if layout == "folder" else as_parquet(folder, tmp_path / "parquet")
    transform = create_transform(SIDE, interpolation="bicubic", crop_pct=0.8)
    with warnings.catch_warnings(action="ignore"):  # of transparency
        opened = [Image.open(path) for path in sorted((folder / "val").rglob("*.*"))]
        images = [(ImageOps.exif_transpose(image) if turn else image).convert("RGB") for image in opened]
    expected = torch.stack([transform(image) for image in images])
    for found in both(place, eval_crop=0.8, batch_size=4, exif_transpose=turn):
        shown = torch.cat([batch for batch, _ in found.evaluation("test")])
        assert found.corrupt == set()
        assert (shown - expected).abs().max() < 1e-6


def test_images_decoded_for_one_setting_are_not_used_for_the_other(tmp_path: Path) -> None:
    folder = odd_folder(tmp_path / "odd")
    plain, _ = both(folder, batch_size=4)
    turned, _ = both(folder, batch_size=4, exif_transpose=True)
    again, _ = both(folder, batch_size=4)
    shown = [torch.cat([batch for batch, _ in one.evaluation("test")]) for one in (plain, turned, again)]
    assert not torch.equal(shown[0], shown[1])
    assert torch.equal(shown[0], shown[2])
