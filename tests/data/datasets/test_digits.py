"""The digits, centred and at offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablate.data.datasets import Arrays, hold_out, source
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from tests.tiny import TINY

# Records hold it. If it fails, scikit-learn ships other data, and no record counts any more: that is meant.
FINGERPRINT = "6ebb3d2fee246a4e"


def loaded(name: str, holdout: float = 0.2) -> Arrays:
    module, location = source(name, {})
    data = module.load(TINY.replace(dataset=name, holdout=holdout), location)
    assert isinstance(data, Arrays)
    return data


@pytest.mark.parametrize("name", ["digits", "digits_shifted"])
def test_sizes(name: str) -> None:
    sizes = {part: len(indices) for part, indices in loaded(name).parts.items()}
    assert sizes == {"train": 1149, "heldout": 288, "test": 360}
    assert {part: len(indices) for part, indices in loaded(name, 0).parts.items()} == {
        "train": 1437,
        "heldout": 0,
        "test": 360,
    }


@pytest.mark.parametrize("part", ["train", "heldout", "test"])
def test_parts_are_balanced_by_class_within_one(part: Any) -> None:
    data = loaded("digits")
    shares = np.bincount(data.labels) * len(data.parts[part]) / len(data.labels)
    assert np.abs(np.bincount(data.labels[data.parts[part]]) - shares).max() <= 1


def test_images_use_the_whole_range_and_only_one_name_is_shifted() -> None:
    centred, shifted = loaded("digits"), loaded("digits_shifted")
    assert (centred.images.min(), centred.images.max()) == (0, 255)
    assert (centred.shifted, shifted.shifted) == (False, True)
    np.testing.assert_array_equal(centred.images, shifted.images)


@pytest.mark.parametrize("name", ["digits", "digits_shifted"])
def test_the_fingerprint_is_of_the_data(name: str) -> None:
    assert DATASETS[name].fingerprint(None) == FINGERPRINT


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image_size": 8, "patch_size": 4}, "image_size must be 9 or more for digits_shifted, got 8"),
        ({"dataset": "digits", "image_size": 4}, "image_size must be 8 or more for digits, got 4"),
        ({"crop_min_area": 0.5}, "crop_min_area must be 1.0 for digits_shifted, got 0.5"),
        ({"hflip": 0.5}, "hflip must be 0.0 for digits_shifted, got 0.5"),
        ({"crop_padding": 4}, "crop_padding must be 0 for digits_shifted, got 4"),
        ({"color_jitter": 0.4}, "color_jitter must be 0.0 for digits_shifted, got 0.4"),
        ({"auto_augment": "rand-m9"}, "auto_augment must be '' for digits_shifted, got 'rand-m9'"),
        ({"random_erasing": 0.25}, "random_erasing must be 0.0 for digits_shifted, got 0.25"),
        (
            {"loader": "workers"},
            "loader must be 'auto' or 'resident' for digits_shifted, which is in memory, got 'workers'",
        ),
        ({"eval_crop": 0.875}, "eval_crop must be 1.0 for digits_shifted, got 0.875"),
        (
            {"batch_size": 1438, "holdout": 0.0},
            "batch_size must be at most 1437, the training images of digits_shifted, got 1438",
        ),
    ],
)
def test_what_the_digits_cannot_give_is_refused(changes: dict[str, Any], sentence: str) -> None:
    run = TINY.replace(**changes)
    module, location = source(run.dataset, {})
    with pytest.raises(SpecError, match=sentence):
        module.check(run, location)


def test_what_they_can_give_is_accepted() -> None:
    for changes in ({}, {"dataset": "digits", "image_size": 8}, {"image_size": 9, "patch_size": 3}):
        run = TINY.replace(**changes)
        source(run.dataset, {})[0].check(run, None)


def test_holding_out_says_when_a_share_is_impossible() -> None:
    labels = np.repeat(np.arange(10), 10)
    with pytest.raises(SpecError, match=r"holdout 0.05 cannot split 100 images by class"):
        hold_out(labels, 0.05)
    with pytest.raises(SpecError, match=r"holdout 0.95 cannot split 100 images by class"):
        hold_out(labels, 0.95)
    with pytest.raises(SpecError, match=r"holdout 0.05 leaves no image of class 1 held out; change holdout"):
        hold_out(np.array([0] * 98 + [1] * 2), 0.05)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5])
def test_holding_out_is_in_order_and_by_class(fraction: float) -> None:
    labels = np.repeat(np.arange(10), 10)
    train, held = hold_out(labels, fraction)
    assert list(train) == sorted(train)
    assert list(np.bincount(labels[held], minlength=10)) == [round(10 * fraction)] * 10
