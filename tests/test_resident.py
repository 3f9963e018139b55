"""Pictures in memory, placed on a canvas: where, and as a function of what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ablate.datasets import Arrays
from ablate.resident import Resident
from tests.tiny import TINY

CPU = torch.device("cpu")
PICTURES = 60


def data(*, shifted: bool, channels: int = 1, side: int = 8) -> Arrays:
    """Pictures without a black pixel; in each, every pixel tells where it stood."""
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (PICTURES, side, side, channels), dtype=np.uint8)
    parts: Any = {"train": np.arange(10, 50), "heldout": np.arange(10), "test": np.arange(50, 60)}
    return Arrays(images=images, labels=np.arange(PICTURES) % 5, parts=parts, classes=tuple("abcde"), shifted=shifted)


def resident(*, shifted: bool = True, channels: int = 1, **changes: Any) -> Resident:
    return Resident(TINY.but(batch_size=8, **changes), data(shifted=shifted, channels=channels), CPU)


def corner(picture: torch.Tensor) -> tuple[int, int]:
    """Row and column where a picture begins on its canvas."""
    lit = picture.amax(0) > -1
    return int(lit.any(1).int().argmax()), int(lit.any(0).int().argmax())


def training(images: Resident, epoch: int) -> dict[int, torch.Tensor]:
    """Every picture of an epoch by its index."""
    canvases = torch.cat([pictures for pictures, _ in images.training(epoch)])
    return dict(zip(images.order(epoch).tolist(), canvases, strict=True))


def corners(images: Resident, epoch: int) -> dict[int, tuple[int, int]]:
    return {index: corner(canvas) for index, canvas in training(images, epoch).items()}


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_lies_whole_where_its_offset_says(shifted: bool, channels: int) -> None:
    images = resident(shifted=shifted, channels=channels)
    offsets = images._offsets(images.run.seed, "offset", 0)
    for index, canvas in training(images, 0).items():
        row, column = offsets[index].tolist()
        pixels = canvas[:, row : row + 8, column : column + 8]
        assert torch.equal(((pixels * 0.5 + 0.5) * 255).round().byte(), images.pictures[index])
        assert (canvas == -1).sum() == channels * (12 * 12 - 8 * 8), "the rest is black"


def test_centred_pictures_are_in_the_middle() -> None:
    for images in (resident(shifted=False), resident(shifted=False, seed=9)):
        assert set(corners(images, 0).values()) == set(corners(images, 1).values()) == {(2, 2)}


def test_offsets_are_new_each_epoch() -> None:
    images = resident()
    assert corners(images, 0) != corners(images, 1)
    assert corners(images, 1) == corners(images, 1)


def test_offsets_reach_every_place_and_stay_on_the_canvas() -> None:
    images = resident()
    found = {place for epoch in range(20) for place in corners(images, epoch).values()}
    assert found == {(row, column) for row in range(5) for column in range(5)}


@pytest.mark.parametrize("changes", [{"mixer": "none"}, {"depth": 1}, {"batch_size": 5}, {"epochs": 9}, {"lr": 1.0}])
def test_offsets_are_of_seed_epoch_and_index_not_of_the_variant(changes: dict[str, Any]) -> None:
    one = corners(resident(), 3)
    other = corners(Resident(TINY.but(**{"batch_size": 8} | changes), data(shifted=True), CPU), 3)
    assert len(other) == 40
    assert all(one[index] == other[index] for index in one)


def test_another_seed_gives_other_offsets() -> None:
    assert corners(resident(), 0) != corners(resident(seed=1), 0)


@pytest.mark.parametrize("part", ["test", "heldout"])
def test_an_evaluation_has_fixed_offsets_whatever_the_seed(part: Any) -> None:
    one, other = (torch.cat([p for p, _ in resident(seed=seed).evaluation(part)]) for seed in (0, 7))
    assert torch.equal(one, other)
    assert len({corner(picture) for picture in one}) > 1, "they are offsets all the same"


def test_pixels_run_from_minus_one_to_one() -> None:
    canvas = torch.cat([pictures for pictures, _ in resident().training(0)])
    assert canvas.min() == -1
    assert canvas.max() == 1


def test_labels_stay_with_their_pictures() -> None:
    images = resident()
    labels = torch.cat([labels for _, labels in images.training(0)])
    assert labels.tolist() == [index % 5 for index in images.order(0).tolist()]
