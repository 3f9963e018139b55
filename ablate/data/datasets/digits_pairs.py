"""Two of scikit-learn's digits in one image, and whether they are the same digit: a task of token mixing alone.

The left digit lies in the middle of the left half, the right one in the middle of the right half, and no patch has
parts of both. Every image of a digit is as often on the left, and as often on the right, of a pair of equal digits as
of a pair of unlike ones. So neither digit alone tells anything, and of all sums of what each patch says (a model
without token mixing whose last norm stands before the pooling) the constant has the lowest loss, in training too.

The pairs are fixed. Those for testing are of the test digits, those held out of the held-out digits.
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

BEHAVIOUR = 1  # raise it too when what comes from digits.py is mended
CHANNELS = 1
CLASSES = 2
LOADER = "resident"
SMALLEST = 2 * digits.SIDE
ROUNDS = 4  # pairs of either kind that an image of a digit begins


def fingerprint(location: Path | None = None) -> str:
    """Hash of the digits and of what is made of them."""
    made = f"{digits.fingerprint(location)} in pairs, {ROUNDS} rounds, behaviour {BEHAVIOUR}"
    return hashlib.sha256(made.encode()).hexdigest()[:16]


def check(run: Run, location: Path | None = None) -> None:
    """The canvas must hold two digits, and a patch must end where the left half does."""
    if run.image_size < SMALLEST or run.image_size % 2:
        raise SpecError(
            f"image_size is {run.image_size}; dataset {run.dataset} wants an even number of {SMALLEST} or more"
        )
    if (half := run.image_size // 2) % run.patch_size:
        raise SpecError(
            f"patch_size is {run.patch_size}; dataset {run.dataset} wants a divisor of half the image, {half}: "
            "no patch may see both digits"
        )
    check_plain(run)
    check_batch(run, 2 * ROUNDS * (digits.IMAGES - digits.TEST), CLASSES)


def load(run: Run, location: Path | None = None) -> Arrays:
    """Images of `image_size`, in each part as many of equal as of unlike digits."""
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
    """Positions (left, right) of `2 * ROUNDS * n` pairs, equal digits and unlike ones in turns of n.

    Args:
        labels: (n,), of the digits to take.
        seed: of numpy's old generator, whose numbers are promised never to change.
    """
    import numpy as np

    draw = np.random.RandomState(seed)
    left = np.arange(len(labels))
    rights = [right for _ in range(ROUNDS) for right in (_equal(labels, draw), _unlike(labels, draw))]
    return np.stack([np.tile(left, 2 * ROUNDS), np.concatenate(rights) if len(left) else left], axis=1)


def _equal(labels: np.ndarray, draw: np.random.RandomState) -> np.ndarray:
    """Another image of the same digit for each: a permutation."""
    import numpy as np

    right = np.empty_like(labels)
    for label in np.unique(labels):
        members = draw.permutation(np.flatnonzero(labels == label))
        right[members] = np.roll(members, 1)
    return right


def _unlike(labels: np.ndarray, draw: np.random.RandomState) -> np.ndarray:
    """An image of another digit for each: a permutation, mended by exchanges until none meets its like."""
    import numpy as np

    right = draw.permutation(len(labels))
    while len(alike := np.flatnonzero(labels == labels[right])):
        for one, other in zip(alike, draw.randint(len(labels), size=len(alike)), strict=True):
            right[[one, other]] = right[[other, one]]
    return right


def side_by_side(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    """Digits (n, 8, 8, 1) in the middles of the halves of black squares (n, size, size, 1)."""
    import numpy as np

    canvas = np.zeros((len(left), size, size, 1), np.uint8)
    row, column = (size - digits.SIDE) // 2, (size // 2 - digits.SIDE) // 2
    for begin, images in ((column, left), (size // 2 + column, right)):
        canvas[:, row : row + digits.SIDE, begin : begin + digits.SIDE] = images
    return canvas
