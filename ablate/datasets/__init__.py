"""What a data set is before any tensor: its facts, its pictures or their files, and its three parts.

One file a data set. `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run on it;
- `fingerprint(location)`, a hash of what the data is, computed without torch;
- `check(run, location)`, a `SpecError` where a run asks for what the data cannot give;
- `load(run, location)`, `Arrays` (small, kept in memory) or `Files` (decoded when needed).

A name with no file here is a directory of images, found where `--data NAME=PATH` or ABLATE_DATA says.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from ablate.registry import SpecError, unknown
from ablate.spec import DATASETS, Run

if TYPE_CHECKING:
    import numpy as np

BEHAVIOUR = 1
Part = Literal["train", "heldout", "test"]


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Pictures in memory.

    Args:
        images: uint8, (n, height, width, channels).
        labels: int64, (n,), from 0.
        parts: for each part the indices of its pictures, in a fixed order.
        classes: the names of the labels.
        shifted: place a picture at a random offset on the canvas instead of in its middle.
    """

    images: np.ndarray
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    shifted: bool = False


@dataclass(frozen=True, kw_only=True)
class Files:
    """Pictures as files.

    Args:
        paths: one a picture.
        labels: int64, (n,), from 0.
        parts: for each part the indices of its pictures, in a fixed order.
        classes: the names of the labels.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray
    parts: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]


Data = Arrays | Files


def locate(name: str, given: Mapping[str, str]) -> Path | None:
    """Where a data set that is no file of this folder lies; None where nobody said.

    Args:
        given: paths by name, as `--data NAME=PATH` gives them; ABLATE_DATA is a folder with one directory a name.
    """
    if name in given:
        return Path(given[name])
    shelf = os.environ.get("ABLATE_DATA")
    return Path(shelf, name) if shelf and Path(shelf, name).exists() else None


def source(name: str, given: Mapping[str, str]) -> tuple[ModuleType, Path | None]:
    """The module that knows a data set, and where the data lies.

    Raises:
        SpecError: for a name that is neither a file of this folder nor located.
    """
    if name in DATASETS:
        return DATASETS[name], None
    location = locate(name, given)
    if location is None:
        error = unknown("dataset", name, DATASETS)
        raise SpecError(f"{error}, or a directory of images given with --data {name}=PATH")
    return import_module("ablate.datasets._imagefolder"), location


def hold_out(labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and positions held out: one fixed, class-balanced split, whatever the seed of a run.

    Raises:
        SpecError: when the fraction leaves either side without a picture of some class.
    """
    import numpy as np
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(labels))
    if fraction == 0:
        return everything, everything[:0]
    try:
        train, held = train_test_split(everything, test_size=fraction, stratify=labels, random_state=0)
    except ValueError as error:
        raise SpecError(f"holdout {fraction:g} does not split {len(labels)} pictures by class: {error}") from None
    for side, positions in (("to train on", train), ("held out", held)):
        if lost := sorted(set(labels.tolist()) - set(labels[positions].tolist())):
            raise SpecError(f"holdout {fraction:g} leaves no picture of class {lost[0]} {side}; try another share")
    return np.sort(train), np.sort(held)


def check_batch(run: Run, pictures: int) -> None:
    """Refuse a batch larger than what is left of the training part's pictures when some are held out."""
    left = pictures - math.ceil(pictures * run.holdout)
    if run.batch_size > left:
        raise SpecError(f"batch_size is {run.batch_size}; dataset {run.dataset} has {left} pictures to train on")


def check_plain(run: Run) -> None:
    """Refuse crops and flips, for data whose only augmentation is its own."""
    for name, neutral in (("crop_min_area", 1.0), ("hflip", 0.0), ("eval_crop", 1.0)):
        if getattr(run, name) != neutral:
            raise SpecError(f"{name} is {getattr(run, name)}; dataset {run.dataset} has none, wanted is {neutral}")
