"""The handwritten digits of scikit-learn: 1,797 images of 8×8 pixels in 10 classes, centred on the canvas.

Centred digits may need no token mixing: a patch at a fixed position is informative by itself. In `digits_shifted` it is
not.
"""

from __future__ import annotations

import gzip
import hashlib
from importlib.util import find_spec
from pathlib import Path

from ablate.data.datasets import Arrays, Part, check_batch, check_plain, hold_out
from ablate.spec.errors import SpecError
from ablate.spec.run import Run

BEHAVIOUR = 1
CHANNELS = 1
CLASSES = 10
LOADER = "resident"
SIDE = 8
IMAGES = 1797
TEST = 360


def fingerprint(location: Path | None = None) -> str:
    """Return a hash of the uncompressed file of scikit-learn, without importing scikit-learn."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise SpecError("dataset digits is part of scikit-learn, which is not installed; run pip install scikit-learn")
    packed = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest()[:16]


def check(run: Run, location: Path | None = None, *, smallest: int = SIDE) -> None:
    """Refuse a canvas smaller than a digit, crops and flips, and a batch larger than the data."""
    if run.image_size < smallest:
        raise SpecError(f"image_size must be {smallest} or more for {run.dataset}, got {run.image_size}")
    check_plain(run)
    check_batch(run, IMAGES - TEST, CLASSES)


def load(run: Run, location: Path | None = None, *, shifted: bool = False) -> Arrays:
    """Return the images scaled from 0..16 to 0..255: 360 for testing, and `holdout` of the rest held out."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    rest, test = train_test_split(np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=0)
    train, heldout = hold_out(labels[rest], run.holdout)
    parts: dict[Part, np.ndarray] = {"train": rest[train], "heldout": rest[heldout], "test": np.sort(test)}
    return Arrays(images=images, labels=labels, parts=parts, classes=tuple("0123456789"), shifted=shifted)
