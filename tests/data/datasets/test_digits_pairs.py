"""Two digits in an image: positions, pairs, and no information about the label in a single digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablate.data.datasets import digits, digits_pairs
from ablate.data.datasets.digits_pairs import ROUNDS, check, load, pairs
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from tests.tiny import TINY

RUN = TINY.replace(dataset="digits_pairs", image_size=16, patch_size=4)
PARTS: tuple[Any, ...] = ("train", "heldout", "test")
SIZES = {"train": 9192, "heldout": 2304, "test": 2880}
EXAMPLES = [[5, 15], [5, 12], [39, 3]]


def halves(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The digits (n, 8, 8, 1) of images of 16 pixels."""
    return images[:, 4:12, :8], images[:, 4:12, 8:]


@pytest.mark.parametrize("size", [16, 24])
def test_no_patch_sees_both_digits(size: int) -> None:
    images = load(RUN.replace(image_size=size)).images
    assert images.shape[1:] == (size, size, 1)
    lit = images.any(axis=(0, 3))
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    assert rows.min() >= (size - 8) // 2
    assert rows.max() < (size + 8) // 2
    for half in (columns[columns < size // 2], columns[columns >= size // 2] - size // 2):
        assert half.min() >= (size // 2 - 8) // 2
        assert half.max() < (size // 2 + 8) // 2


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_pairs_are_of_the_digits_of_their_part(part: Any, holdout: float) -> None:
    run = RUN.replace(holdout=holdout)
    data, single = load(run), digits.load(run)
    known = {image.tobytes(): int(label) for image, label in zip(single.images, single.labels, strict=True)}
    of_part = {single.images[index].tobytes() for index in single.parts[part]}
    left, right = ([side.tobytes() for side in half] for half in halves(data.images[data.parts[part]]))
    assert set(left) == set(right) == of_part
    same = [known[one] == known[other] for one, other in zip(left, right, strict=True)]
    assert data.labels[data.parts[part]].tolist() == same
    assert data.classes == ("different", "same")


@pytest.mark.parametrize("part", PARTS)
def test_neither_digit_tells_the_label(part: Any) -> None:
    """P(same | an image on the left) is 1/2 to the last image, and so on the right."""
    data = load(RUN)
    chosen = data.parts[part]
    for half in halves(data.images[chosen]):
        _, which = np.unique(half.reshape(len(half), -1), axis=0, return_inverse=True)
        same = np.bincount(which.ravel(), weights=data.labels[chosen])
        assert (2 * same == np.bincount(which.ravel())).all()


def test_a_digit_meets_others_but_not_itself_and_all_unlike_digits_alike() -> None:
    labels = digits.load(RUN.replace(holdout=0.0)).labels[:1437]
    left, right = pairs(labels, 0).T
    assert (left != right).all()
    unlike = labels[left] != labels[right]
    assert unlike.mean() == 0.5
    met = np.histogram2d(labels[left[unlike]], labels[right[unlike]], bins=10)[0]
    expected = ROUNDS * len(labels) / 90
    assert (met.diagonal() == 0).all()
    assert np.abs(met[~np.eye(10, dtype=bool)] / expected - 1).max() < 0.4


def test_the_pairs_are_fixed() -> None:
    """If this fails, the pairs have changed: raise BEHAVIOUR, and renew the values."""
    data = load(RUN)
    assert {part: len(indices) for part, indices in data.parts.items()} == SIZES
    assert pairs(np.arange(40) % 10, 0)[[5, 45, -1]].tolist() == EXAMPLES
    assert digits_pairs.fingerprint() == digits_pairs.fingerprint() != digits.fingerprint()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image_size": 12}, "image_size must be an even number, 16 or more, for digits_pairs, got 12"),
        (
            {"image_size": 25, "patch_size": 5},
            "image_size must be an even number, 16 or more, for digits_pairs, got 25",
        ),
        ({"patch_size": 16}, "patch_size must divide 8, half the image, for digits_pairs, got 16: no patch"),
        ({"hflip": 0.5}, "hflip must be 0.0 for digits_pairs, got 0.5"),
        ({"loader": "workers"}, "loader must be 'auto' or 'resident' for digits_pairs, which is in memory"),
        ({"batch_size": 50_000}, r"batch_size must be at most \d+, the training images of digits_pairs, got 50000"),
    ],
)
def test_what_the_pairs_cannot_give_is_refused(changes: dict[str, Any], sentence: str) -> None:
    run: Run = RUN.replace(**changes)
    with pytest.raises(SpecError, match=sentence):
        check(run)
