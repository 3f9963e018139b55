"""Augmentation of a whole batch, compared with Pillow, torchvision and timm image by image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torchvision.transforms import functional as F

from ablate.data import augment
from ablate.data.draws import Draws, crop_boxes, erased_boxes, jitter_factors
from ablate.data.workers import CHANGES, resample
from tests.tiny import TINY, noise

RUN = TINY.replace(dataset="mine", image_size=24, patch_size=4)


def draws(count: int, epoch: int = 0) -> Draws:
    return Draws(0, epoch, torch.arange(count), torch.zeros(count, dtype=torch.long))


def noises(count: int, side: int = 24) -> list[Image.Image]:
    return [noise(side, seed=seed) for seed in range(count)]


def stacked(images: list[Image.Image]) -> torch.Tensor:
    return torch.stack([F.pil_to_tensor(image) for image in images])


@pytest.mark.parametrize("size", [8, 24, 31, 50])
def test_boxes_are_resampled_as_pillow_does(size: int) -> None:
    """Smaller and larger, on noise, which shows every fault of a filter and of its edges."""
    images = noises(40, 37)
    boxes = crop_boxes(draws(40), torch.full((40,), 37), torch.full((40,), 37), 0.05)
    found = augment.resample(stacked(images), boxes, size)
    for image, box, mine in zip(images, boxes.tolist(), found, strict=True):
        theirs = F.pil_to_tensor(resample(image, box, size))
        assert (mine - theirs).abs().max() <= 2
        assert (mine != theirs).float().mean() < 0.01, "only where a half is rounded the other way, once or twice"


def test_a_whole_image_at_its_own_size_is_itself() -> None:
    images = stacked(noises(3))
    boxes = torch.tensor([[0, 0, 24, 24]]).expand(3, 4)
    assert torch.equal(augment.resample(images, boxes, 24), images.float())


def test_a_padded_crop_shows_black_beyond_the_border() -> None:
    images = stacked(noises(2)).float() + 1
    offsets = torch.tensor([[-3, 5], [0, 0]])
    found = augment.shift(images, offsets)
    assert torch.equal(found[1], images[1])
    assert torch.equal(found[0, :, 3:, :-5], images[0, :, :-3, 5:])
    assert not found[0, :, :3].any()
    assert not found[0, :, :, -5:].any()


@pytest.mark.parametrize("strength", [0.3, 0.9])
def test_colours_change_as_torchvision_changes_them(strength: float) -> None:
    images = noises(30)
    order, factors = jitter_factors(draws(30), strength)
    found = augment.jitter(stacked(images).float(), order, factors)
    for image, places, by, mine in zip(images, order.tolist(), factors.tolist(), found, strict=True):
        for number in places:
            image = CHANGES[number](image, by[number])
        assert (mine - F.pil_to_tensor(image)).abs().max() <= 3


def test_flips_are_as_drawn() -> None:
    images = stacked(noises(50))
    run = RUN.replace(hflip=0.5)
    found = augment.augment(run, images, draws(50))
    flip = draws(50).chance("flip", 0.5)
    assert 10 < flip.sum() < 40
    assert torch.equal(found[flip], images[flip].flip(-1).float())
    assert torch.equal(found[~flip], images[~flip].float())


def test_normalisation_is_torchvisions_to_the_last_bit() -> None:
    images = noises(4)
    found = augment.normalise(stacked(images), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    for image, mine in zip(images, found, strict=True):
        assert torch.equal(mine, F.normalize(F.to_tensor(image), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))


def test_a_rectangle_of_noise_replaces_what_was_there() -> None:
    images = torch.full((200, 3, 24, 24), 9.0)
    run = RUN.replace(random_erasing=0.5)
    found = augment.erase(run, images.clone(), draws(200))
    boxes = erased_boxes(draws(200), 24, 0.5)
    changed = (found != 9).all(dim=1)
    for image, (top, left, height, width) in zip(changed, boxes.tolist(), strict=True):
        assert image.sum() == height * width
        assert image[top : top + height, left : left + width].all()
    assert stats.kstest(found[found != 9].numpy(), "norm").pvalue > 1e-3


def test_noise_is_of_the_image_not_of_the_batch() -> None:
    run = RUN.replace(random_erasing=1.0)
    images = torch.zeros(6, 3, 24, 24)
    whole = augment.erase(run, images.clone(), draws(6))
    some = Draws(0, 0, torch.tensor([4, 1]), torch.tensor([0, 0]))
    assert torch.equal(whole[[4, 1]], augment.erase(run, images[:2].clone(), some))
    assert not torch.equal(whole, augment.erase(run, images.clone(), draws(6, epoch=1)))
    assert augment.erase(RUN, images, draws(6)) is images, "no erasing is requested"


def test_all_together_are_a_function_of_the_draws() -> None:
    run = RUN.replace(crop_min_area=0.3, hflip=0.5, color_jitter=0.4)
    images = stacked(noises(8, 30))
    first = augment.augment(run, images, draws(8))
    assert first.shape == (8, 3, 24, 24)
    assert torch.equal(first, augment.augment(run, images, draws(8)))
    order = torch.tensor([5, 2])
    some = Draws(0, 0, order, torch.zeros_like(order))
    assert (augment.augment(run, images[order], some) - first[order]).abs().max() <= 1
    assert np.isfinite(first.numpy()).all()
