"""How much disk a study takes, from formulas: no model is built and no picture read.

A tensor's element takes 4 bytes: weights, moments and average are kept in float32 whatever the precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablate.model.cost import parameters
from ablate.spec.parts import DATASETS
from ablate.spec.run import Run
from ablate.spec.source import optional

ELEMENT = 4
MOMENTS = {"adamw": 2, "sgd": 1}
KEPT = 3  # the newest checkpoint of a run, the one before it, and one that is being written


@dataclass(frozen=True)
class Disk:
    """Bytes on disk.

    Args:
        weights: of all runs, once they are done.
        checkpoints: at most, while `side_by_side` runs train.
        side_by_side: how many that is.
        pictures: decoded once and kept, of the data sets whose size is known.
    """

    weights: int
    checkpoints: int
    side_by_side: int
    pictures: int


def needed(runs: Sequence[Run], side_by_side: int, inputs: Mapping[str, tuple[int, int]]) -> Disk:
    """What some runs will take.

    Args:
        side_by_side: how many train at a time.
        inputs: channels and classes of each data set.
    """
    kept = {(run.dataset, run.image_size, run.eval_crop): pictures(run, inputs[run.dataset][0]) for run in runs}
    checkpoints = sorted((KEPT * checkpoint(run, *inputs[run.dataset]) for run in runs), reverse=True)
    side_by_side = min(side_by_side, len(runs))
    return Disk(
        weights=sum(weights(run, *inputs[run.dataset]) for run in runs),
        checkpoints=sum(checkpoints[:side_by_side]),
        side_by_side=side_by_side,
        pictures=sum(kept.values()),
    )


def weights(run: Run, channels: int, classes: int) -> int:
    """Bytes of a run's final weights, the averaged ones among them where it keeps an average."""
    return ELEMENT * parameters(run.replace(seed=0), channels, classes)[0] * (1 + (run.ema > 0))


def checkpoint(run: Run, channels: int, classes: int) -> int:
    """Bytes of one checkpoint: final weights, and the optimiser's moments of what is trained."""
    params, frozen = parameters(run.replace(seed=0), channels, classes)
    return weights(run, channels, classes) + ELEMENT * MOMENTS[run.opt] * (params - frozen)


def pictures(run: Run, channels: int) -> int:
    """Bytes of a data set decoded once and kept, a byte a channel; 0 where nothing says how large it is.

    Pictures that come with an installed package are not kept a second time.
    """
    if not run.resident or run.dataset not in DATASETS or not optional(DATASETS.path(run.dataset), "LOCATED", False):
        return 0
    side = math.floor(run.image_size / run.eval_crop)
    return int(optional(DATASETS.path(run.dataset), "IMAGES", 0)) * channels * side**2
