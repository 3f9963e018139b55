"""Two digits in one image, classified as the same or different digits: a task that requires token mixing.

Each digit is centred in its half of the image, and no patch contains parts of both. Every image of a digit occurs
equally often on the left, and on the right, of a pair of equal digits and of a pair of different ones. So a single
digit contains no information about the label. A model without token mixing whose last norm is before the pooling sums
over patches; the sum with the lowest loss, in training too, is a constant.

The pairs are fixed. Test pairs consist of test digits, held-out pairs of held-out digits.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data.datasets import Arrays, Part, check_batch, check_plain, digits
from ablate.spec.errors import SpecError
from ablate.spec.run import Run

if TYPE_CHECKING:
    import numpy as np

BEHAVIOUR = 1  # raise it too when results of digits.py change
CHANNELS = 1
CLASSES = 2
LOADER = "resident"
SMALLEST = 2 * digits.SIDE
ROUNDS = 4  # pairs of equal digits, and of different ones, with each image on the left


def fingerprint(location: Path | None = None) -> str:
    """Return a hash of the digits and of the construction of the pairs."""
    made = f"{digits.fingerprint(location)} in pairs, {ROUNDS} rounds, behaviour {BEHAVIOUR}"
    return hashlib.sha256(made.encode()).hexdigest()[:16]


def check(run: Run, location: Path | None = None) -> None:
    """Refuse a canvas too small for two digits, and patches that cross the middle."""
    if run.image_size < SMALLEST or run.image_size % 2:
        raise SpecError(
            f"image_size must be an even number, {SMALLEST} or more, for {run.dataset}, got {run.image_size}"
        )
    if (half := run.image_size // 2) % run.patch_size:
        raise SpecError(
            f"patch_size must divide {half}, half the image, for {run.dataset}, got {run.patch_size}: "
            "no patch may contain both digits"
        )
    check_plain(run)
    check_batch(run, 2 * ROUNDS * (digits.IMAGES - digits.TEST), CLASSES)


def load(run: Run, location: Path | None = None) -> Arrays:
    """Return images of `image_size`; in each part, half of them show equal digits."""
    import numpy as np

    single = digits.load(run)
    found: dict[Part, np.ndarray] = {
        part: indices[pairs(single.labels[indices], seed)] for seed, (part, indices) in enumerate(single.parts.items())
    }
    left, right = np.concatenate(list(found.values())).T
    ends = np.cumsum([len(rows) for rows in found.values()])
    parts = {part: np.arange(end - len(rows), end) for end, (part, rows) in zip(ends, found.items(), strict=True)}
    return Arrays(
        images=side_by_side(single.images[left], single.images[right], run.image_size),
        labels=(single.labels[left] == single.labels[right]).astype(np.int64),
        parts=parts,
        classes=("different", "same"),
    )


def pairs(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return positions (left, right) of `2 * ROUNDS * n` pairs: n equal ones, n different ones, and so on.

    Args:
        labels: labels of the digits, (n,).
        seed: seed of numpy's legacy generator, whose numbers never change between versions.
    """
    import numpy as np

    draw = np.random.RandomState(seed)
    left = np.arange(len(labels))
    rights = [right for _ in range(ROUNDS) for right in (_equal(labels, draw), _different(labels, draw))]
    return np.stack([np.tile(left, 2 * ROUNDS), np.concatenate(rights) if len(left) else left], axis=1)


def _equal(labels: np.ndarray, draw: np.random.RandomState) -> np.ndarray:
    """Return another image of the same digit for each: a permutation."""
    import numpy as np

    right = np.empty_like(labels)
    for label in np.unique(labels):
        members = draw.permutation(np.flatnonzero(labels == label))
        right[members] = np.roll(members, 1)
    return right


def _different(labels: np.ndarray, draw: np.random.RandomState) -> np.ndarray:
    """Return an image of another digit for each: a permutation, with swaps until no pair is equal."""
    import numpy as np

    right = draw.permutation(len(labels))
    while len(equal := np.flatnonzero(labels == labels[right])):
        for one, other in zip(equal, draw.randint(len(labels), size=len(equal)), strict=True):
            right[[one, other]] = right[[other, one]]
    return right


def side_by_side(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    """Place digits (n, 8, 8, 1) in the centres of the halves of black squares (n, size, size, 1)."""
    import numpy as np

    canvas = np.zeros((len(left), size, size, 1), np.uint8)
    row, column = (size - digits.SIDE) // 2, (size // 2 - digits.SIDE) // 2
    for begin, images in ((column, left), (size // 2 + column, right)):
        canvas[:, row : row + digits.SIDE, begin : begin + digits.SIDE] = images
    return canvas
