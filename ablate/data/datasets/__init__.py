"""Datasets, one file each: facts, images and the parts train, heldout and test.

The file `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run on the dataset;
- `fingerprint(location)`, a hash that identifies the data, computed without torch;
- `check(run, location)`, which raises a `SpecError` if a run does not fit the data;
- `load(run, location)`, which returns `Arrays` (small, in memory) or `Encoded` (decoded when needed);
- optionally `CHANNELS` and `CLASSES`; `LOADER = "resident"` to keep its images decoded by default; `LOCATED = True` if
  the dataset needs a path.

A name without a file here is a directory of images, `_directory.py`. The path of such a dataset, and of one that needs
a path, comes from `--data NAME=PATH`, `ablate.toml` or ABLATE_DATA.
"""

from __future__ import annotations

import math
import os
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
        parts: indices of the images of each part, in a fixed order.
        classes: names of the labels.
        shifted: place images at random offsets on the canvas instead of the centre.
    """

    images: np.ndarray
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    shifted: bool = False


class Reader(Protocol):
    """Images by index. A reader can be pickled for loader processes."""

    def __getitem__(self, index: int) -> Image.Image:
        """Return the opened image; a corrupt one may raise here or when it is decoded."""

    def name(self, index: int) -> str:
        """Return the name of an image for messages."""

    def random_access(self) -> Reader:
        """Return a reader that is fast in any order: this one, or a reader of a copy in the cache."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Encoded images, to be decoded when needed.

    Args:
        reader: images by index.
        labels: int64, (n,), from 0.
        parts: indices of the images of each part, in a fixed order.
        classes: names of the labels.
        fingerprint: hash that identifies the data.
        mean, std: for the normalisation of each channel, which ranges from 0 to 1.
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
    """Return whether a dataset needs a path, as all do except those of an installed package."""
    return name not in DATASETS or bool(optional(DATASETS.path(name), "LOCATED", False))


def locate(name: str, given: Mapping[str, str]) -> Path | None:
    """Return the path of a dataset; None if it is unknown or not needed.

    Args:
        name: name of the dataset.
        given: paths by name, from `--data NAME=PATH`; they override all settings.
    """
    if not needs_location(name):
        return None
    return Path(os.path.expanduser(given[name])) if name in given else data_folders().get(name)


def is_available(name: str, given: Mapping[str, str]) -> bool:
    """Return whether a dataset can be read: its path is known or not needed."""
    return not needs_location(name) or locate(name, given) is not None


def resolve(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the absolute paths of datasets, so that a worker with other settings reads the same data."""
    found = {name: locate(name, given) for name in sorted(set(names))}
    return {name: str(path.absolute()) for name, path in found.items() if path is not None}


def source(name: str, given: Mapping[str, str]) -> tuple[ModuleType, Path | None]:
    """Return the module of a dataset, and the path of its data.

    Raises:
        SpecError: when the dataset is unknown, or its path is needed and unknown.
    """
    location = locate(name, given)
    if name in DATASETS:
        if location is None and needs_location(name):
            raise SpecError(f"dataset {name} has no path: pass --data {name}=PATH (see `ablate data`)")
        return DATASETS[name], location
    if location is None:
        error = unknown("dataset", name, DATASETS)
        raise SpecError(f"{error}, or pass a directory of images with --data {name}=PATH")
    return import_module("ablate.data.datasets._directory"), location


def hold_out(labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions to train on and held-out positions: a fixed stratified split, independent of the seed of a run.

    Raises:
        SpecError: when either side would have no image of some class.
    """
    import numpy as np

    everything = np.arange(len(labels))
    if fraction == 0:
        return everything, everything[:0]
    from sklearn.model_selection import train_test_split

    try:
        train, held = train_test_split(everything, test_size=fraction, stratify=labels, random_state=0)
    except ValueError as error:
        raise SpecError(f"holdout {fraction:g} cannot split {len(labels)} images by class: {error}") from None
    for side, positions in (("to train on", train), ("held out", held)):
        if lost := sorted(set(labels.tolist()) - set(labels[positions].tolist())):
            raise SpecError(f"holdout {fraction:g} leaves no image of class {lost[0]} {side}; change holdout")
    return np.sort(train), np.sort(held)


def check_batch(run: Run, images: int, classes: int) -> None:
    """Refuse a batch larger than the training images without the held-out ones, or fewer images than classes."""
    left = images - math.ceil(images * run.holdout)
    if run.batch_size > left:
        raise SpecError(
            f"batch_size must be at most {left}, the training images of {run.dataset}, got {run.batch_size}"
        )
    if (used := round(run.train_fraction * left)) < classes and run.train_fraction < 1:
        raise SpecError(
            f"train_fraction {run.train_fraction:g} of {left} images leaves {used}, but {run.dataset} needs one "
            f"for each of its {classes} classes; increase it"
        )


_PLAIN = {
    "exif_transpose": False,
    "crop_padding": 0,
    "crop_min_area": 1.0,
    "hflip": 0.0,
    "color_jitter": 0.0,
    "auto_augment": "",
    "random_erasing": 0.0,
    "eval_crop": 1.0,
}


def check_plain(run: Run) -> None:
    """Refuse crops, flips and similar options for data in memory, which has only its own augmentation."""
    if run.loader == "workers":
        raise SpecError(f"loader must be 'auto' or 'resident' for {run.dataset}, which is in memory, got 'workers'")
    for name, neutral in _PLAIN.items():
        if getattr(run, name) != neutral:
            raise SpecError(f"{name} must be {neutral!r} for {run.dataset}, got {getattr(run, name)!r}")
