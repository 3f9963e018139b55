"""Draws: functions of their purpose, uniform, independent, and distributed as in torchvision and timm."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from timm.data.random_erasing import RandomErasing
from torchvision.transforms import v2

from ablate.data.draws import Draws, crop_boxes, erased_boxes, jitter_factors, random_bits

LIKELY = 1e-3  # of a test on fixed numbers: it holds or not, and does so for ever


def draws(count: int, *, seed: int = 0, epoch: int = 0, repeat: int = 0, start: int = 0) -> Draws:
    index = torch.arange(start, start + count)
    return Draws(seed, epoch, index, torch.full_like(index, repeat))


def test_the_hash_is_splitmix64() -> None:
    """Against Python's unlimited integers; the signed arithmetic of torch must not show."""

    def reference(seed: int, part: int) -> int:
        state = (seed + (part + 1) * 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        return state ^ (state >> 31)

    parts = [0, 1, 2, 1_281_166, 2**40]
    found = random_bits(2**63 - 5, torch.tensor(parts)).tolist()
    assert [value % 2**64 for value in found] == [reference(2**63 - 5, part) for part in parts]
    assert reference(0, 0) == 0xE220A8397B1DCDAF, "the first number of the published generator"


def test_any_subset_draws_the_same() -> None:
    whole, some = draws(100), Draws(0, 0, torch.tensor([7, 3]), torch.tensor([0, 0]))
    assert torch.equal(whole.uniform("x", 5)[[7, 3]], some.uniform("x", 5))
    assert torch.equal(whole.normal("x", 5)[[7, 3]], some.normal("x", 5))


def test_draws_are_of_everything_they_are_for() -> None:
    found = [
        draws(8).uniform("x", 4),
        draws(8).uniform("y", 4),
        draws(8, seed=1).uniform("x", 4),
        draws(8, epoch=1).uniform("x", 4),
        draws(8, repeat=1).uniform("x", 4),
        draws(8, start=8).uniform("x", 4),
    ]
    values = torch.stack(found).flatten()
    assert len(values.unique()) == len(values)


def test_they_are_uniform() -> None:
    values = draws(20_000).uniform("x", 4)
    assert values.min() >= 0
    assert values.max() < 1
    for column in values.T:
        assert stats.kstest(column.numpy(), "uniform").pvalue > LIKELY


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}, {"repeat": 1}, {"start": 1}])
def test_neighbours_are_independent(other: dict[str, Any]) -> None:
    """By index, epoch, seed and repeat, and slot by slot: a chi-squared test over a grid, and no correlation."""
    one, two = draws(20_000).uniform("x", 2), draws(20_000, **other).uniform("x", 2)
    for a, b in ((one[:, 0], two[:, 0]), (one[:, 0], one[:, 1]), (one[:, 1], two[:, 0])):
        table = np.histogram2d(a.numpy(), b.numpy(), bins=16, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.flatten()).pvalue > LIKELY
        assert stats.pearsonr(a.numpy(), b.numpy()).pvalue > LIKELY


def test_noise_is_normal_pixel_by_pixel() -> None:
    values = draws(200).normal("x", 300)
    assert values.dtype == torch.float32
    assert stats.kstest(values.flatten().numpy(), "norm").pvalue > LIKELY
    assert stats.kstest(values.mean(dim=1).numpy() * 300**0.5, "norm").pvalue > LIKELY


def test_offsets_reach_every_place_equally() -> None:
    found = draws(20_000).offsets("padding", 8)
    for column in found.T:
        assert stats.chisquare(torch.bincount(column, minlength=9).numpy()).pvalue > LIKELY


def test_an_event_has_the_requested_probability() -> None:
    assert not draws(1000).chance("flip", 0.0).any()
    assert draws(1000).chance("flip", 1.0).all()
    assert stats.binomtest(int(draws(20_000).chance("flip", 0.3).sum()), 20_000, 0.3).pvalue > LIKELY


def alike(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    """Each of four numbers has the same distribution in both."""
    for one, other in zip(mine.T, theirs.T, strict=True):
        assert stats.ks_2samp(one.numpy(), other.numpy()).pvalue > LIKELY


@pytest.mark.parametrize(("height", "width"), [(32, 32), (375, 500), (40, 300)])
@pytest.mark.parametrize("least", [0.08, 0.8])
def test_crops_are_torchvisions(height: int, width: int, least: float) -> None:
    count = 3000
    mine = crop_boxes(draws(count), torch.full((count,), height), torch.full((count,), width), least)
    torch.manual_seed(0)
    transform = v2.RandomResizedCrop(10, scale=(least, 1.0))
    image = torch.empty(1, height, width)
    made = [transform.make_params([image]) for _ in range(count)]
    alike(mine, torch.tensor([[one[name] for name in ("top", "left", "height", "width")] for one in made]))


@pytest.mark.parametrize(("height", "width", "box"), [(10, 1000, (0, 493, 10, 13)), (1000, 10, (493, 0, 13, 10))])
def test_where_no_crop_fits_the_middle_is_taken(height: int, width: int, box: tuple[int, ...]) -> None:
    found = crop_boxes(draws(50), torch.full((50,), height), torch.full((50,), width), 0.9)
    assert {tuple(row) for row in found.tolist()} == {box}


def test_crops_of_images_of_many_sizes_stay_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    height, width = torch.randint(1, 400, (2, 5000), generator=generator)
    top, left, high, wide = crop_boxes(draws(5000), height, width, 0.08).unbind(dim=1)
    assert (high > 0).all()
    assert (wide > 0).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + high <= height).all()
    assert (left + wide <= width).all()


def test_erased_boxes_are_timms(monkeypatch: pytest.MonkeyPatch) -> None:
    count, side = 3000, 32
    random.seed(0)
    erasing = RandomErasing(probability=1.0, mode="const", device="cpu")
    theirs = []
    for _ in range(count):
        rows, columns = (erasing(torch.ones(1, side, side))[0] == 0).nonzero().T
        theirs.append([rows.min(), columns.min(), rows.max() - rows.min() + 1, columns.max() - columns.min() + 1])
    alike(erased_boxes(draws(count), side, 1.0), torch.tensor(theirs))


def test_the_requested_share_is_erased() -> None:
    erased = int((erased_boxes(draws(5000), 32, 0.25)[:, 2] > 0).sum())
    assert stats.binomtest(erased, 5000, 0.25).pvalue > LIKELY
    assert not erased_boxes(draws(100), 32, 0.0).any()


def test_colours_change_in_every_order_within_the_strength() -> None:
    order, factors = jitter_factors(draws(6000), 0.4)
    seen = (order * torch.tensor([9, 3, 1])).sum(dim=1).unique(return_counts=True)[1]
    assert len(seen) == 6
    assert stats.chisquare(seen.numpy()).pvalue > LIKELY
    for column in factors.T:
        assert stats.kstest(column.numpy(), "uniform", (0.6, 0.8)).pvalue > LIKELY
