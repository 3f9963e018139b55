"""How much disk runs take, from formulas: no model is built and no image is read.

Every tensor element takes 4 bytes: weights, moments and averages are kept in float32 at any precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablate.model.cost import parameters
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run
from ablate.spec.source import optional
from ablate.study.compare import classes_of

ELEMENT = 4
MOMENTS = {"adamw": 2, "sgd": 1}
KEPT = 3  # checkpoints of a run: the newest, the one before it, and one that is being written


@dataclass(frozen=True)
class Disk:
    """Bytes on disk.

    Args:
        weights: of all runs, at the end.
        checkpoints: the most there are while `side_by_side` runs train.
        images: decoded and kept, of the datasets of known size.
    """

    weights: int
    checkpoints: int
    side_by_side: int
    images: int


def disk_of(runs: Sequence[Run], data: Mapping[str, str], *, side_by_side: int) -> Disk:
    """Return the disk that runs will take.

    Args:
        data: paths of datasets, by name.
        side_by_side: how many of the runs train at a time.
    """
    return needed(runs, side_by_side, {name: classes_of(name, data) for name in {run.dataset for run in runs}})


def needed(runs: Sequence[Run], side_by_side: int, inputs: Mapping[str, tuple[int, int]]) -> Disk:
    """Return the disk that runs will take.

    Args:
        side_by_side: how many of the runs train at a time.
        inputs: channels and classes of each dataset.
    """
    kept = {(run.dataset, run.image_size, run.eval_crop): images(run, inputs[run.dataset][0]) for run in runs}
    checkpoints = sorted((KEPT * checkpoint(run, *inputs[run.dataset]) for run in runs), reverse=True)
    side_by_side = min(side_by_side, len(runs))
    return Disk(
        weights=sum(weights(run, *inputs[run.dataset]) for run in runs),
        checkpoints=sum(checkpoints[:side_by_side]),
        side_by_side=side_by_side,
        images=sum(kept.values()),
    )


def weights(run: Run, channels: int, classes: int) -> int:
    """Return the bytes of a run's final weights, including the averaged ones where it keeps an average."""
    return ELEMENT * parameters(run.replace(seed=0), channels, classes)[0] * (1 + (run.ema > 0))


def checkpoint(run: Run, channels: int, classes: int) -> int:
    """Return the bytes of one checkpoint: weights, and the optimizer's moments of the trained parameters."""
    params, frozen = parameters(run.replace(seed=0), channels, classes)
    return weights(run, channels, classes) + ELEMENT * MOMENTS[run.opt] * (params - frozen)


def images(run: Run, channels: int) -> int:
    """Return the bytes of a dataset decoded and kept, one per channel; 0 where its size is not known.

    Images that come with an installed package are not kept a second time.
    """
    if not run.resident or run.dataset not in DATASETS or not optional(DATASETS.path(run.dataset), "LOCATED", False):
        return 0
    side = math.floor(run.image_size / run.eval_crop)
    return int(optional(DATASETS.path(run.dataset), "IMAGES", 0)) * channels * side**2
