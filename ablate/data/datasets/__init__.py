"""What a dataset is before any tensor: its facts, its images, and its three parts.

One file a dataset. `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run on it;
- `fingerprint(location)`, a hash of what the data is, computed without torch;
- `check(run, location)`, a `SpecError` where a run asks for what the data cannot give;
- `load(run, location)`, `Arrays` (small, kept in memory) or `Encoded` (decoded when needed);
- optionally `CHANNELS` and `CLASSES`; `LOADER = "resident"` where its images are kept decoded by default;
  `LOCATED = True` where the data must be given a place.

A name with no file here is a directory of images, `_directory.py`. It and located ones are found where `--data
NAME=PATH`, an `ablate.toml` or ABLATE_DATA says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol

from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run
from ablate.spec.settings import data_folders
from ablate.spec.source import optional

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

BEHAVIOUR = 1
Part = Literal["train", "heldout", "test"]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Images in memory.

    Args:
        images: uint8, (n, height, width, channels).
        labels: int64, (n,), from 0.
        parts: for each part the indices of its images, in a fixed order.
        classes: the names of the labels.
        shifted: place an image at a random offset on the canvas instead of in its middle.
    """

    images: np.ndarray
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    shifted: bool = False


class Reader(Protocol):
    """Images by index; it can be pickled, so that loader processes may have it."""

    def __getitem__(self, index: int) -> Image.Image:
        """The image, opened; whatever is wrong with it may be raised here or when it is decoded."""

    def name(self, index: int) -> str:
        """What to call it in a message."""

    def in_any_order(self) -> Reader:
        """A reader that is quick in any order: itself, or one of a copy in the cache."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Images to be decoded when needed.

    Args:
        reader: the images by index.
        labels: int64, (n,), from 0.
        parts: for each part the indices of its images, in a fixed order.
        classes: the names of the labels.
        fingerprint: of what is read.
        mean, std: what a channel, from 0 to 1, is normalised by.
    """

    reader: Reader
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


Data = Arrays | Encoded


def needs_location(name: str) -> bool:
    """Whether a dataset must be given a place: all but those that come with an installed package."""
    return name not in DATASETS or bool(optional(DATASETS.path(name), "LOCATED", False))


def locate(name: str, given: Mapping[str, str]) -> Path | None:
    """Where a dataset lies; None where nobody said, or it needs no place.

    Args:
        given: paths by name, as `--data NAME=PATH` gives them; they come before all settings.
    """
    if not needs_location(name):
        return None
    return Path(given[name]) if name in given else data_folders().get(name)


def at_hand(name: str, given: Mapping[str, str]) -> bool:
    """Whether a dataset can be looked at: it needs no place, or has one."""
    return not needs_location(name) or locate(name, given) is not None


def resolve(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Where the named datasets lie, so that a worker elsewhere, with other settings, reads the same."""
    found = {name: locate(name, given) for name in sorted(set(names))}
    return {name: str(place.absolute()) for name, place in found.items() if place is not None}


def source(name: str, given: Mapping[str, str]) -> tuple[ModuleType, Path | None]:
    """The module that knows a dataset, and where the data lies.

    Raises:
        SpecError: for a name that is neither a file of this folder nor located, or that needs a place and has none.
    """
    location = locate(name, given)
    if name in DATASETS:
        if location is None and needs_location(name):
            raise SpecError(f"nobody said where dataset {name} lies; wanted is --data {name}=PATH, see ablate data")
        return DATASETS[name], location
    if location is None:
        error = unknown("dataset", name, DATASETS)
        raise SpecError(f"{error}, or a directory of images given with --data {name}=PATH")
    return import_module("ablate.data.datasets._directory"), location


def hold_out(labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and positions held out: one fixed, class-balanced split, whatever the seed of a run.

    Raises:
        SpecError: when the fraction leaves either side without an image of some class.
    """
    import numpy as np

    everything = np.arange(len(labels))
    if fraction == 0:
        return everything, everything[:0]
    from sklearn.model_selection import train_test_split

    try:
        train, held = train_test_split(everything, test_size=fraction, stratify=labels, random_state=0)
    except ValueError as error:
        raise SpecError(f"holdout {fraction:g} does not split {len(labels)} images by class: {error}") from None
    for side, positions in (("to train on", train), ("held out", held)):
        if lost := sorted(set(labels.tolist()) - set(labels[positions].tolist())):
            raise SpecError(f"holdout {fraction:g} leaves no image of class {lost[0]} {side}; try another share")
    return np.sort(train), np.sort(held)


def check_batch(run: Run, images: int, classes: int) -> None:
    """Refuse a batch larger than what is left of the training part's images when some are held out.

    And a share of them with fewer images than classes.
    """
    left = images - math.ceil(images * run.holdout)
    if run.batch_size > left:
        raise SpecError(
            f"batch_size must be at most {left}, the training images of {run.dataset}, got {run.batch_size}"
        )
    if (used := round(run.train_fraction * left)) < classes and run.train_fraction < 1:
        raise SpecError(
            f"train_fraction {run.train_fraction:g} of {left} images leaves {used}; dataset {run.dataset} wants "
            f"one of each of its {classes} classes"
        )


_PLAIN = {
    "crop_padding": 0,
    "crop_min_area": 1.0,
    "hflip": 0.0,
    "color_jitter": 0.0,
    "auto_augment": "",
    "random_erasing": 0.0,
    "eval_crop": 1.0,
}


def check_plain(run: Run) -> None:
    """Refuse crops, flips and the like, for data in memory whose only augmentation is its own."""
    if run.loader == "workers":
        raise SpecError(f"loader is 'workers'; dataset {run.dataset} is kept in memory, wanted is 'auto' or 'resident'")
    for name, neutral in _PLAIN.items():
        if getattr(run, name) != neutral:
            value = getattr(run, name)
            raise SpecError(f"{name} is {value!r}; dataset {run.dataset} has none, wanted is {neutral!r}")
