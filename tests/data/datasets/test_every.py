"""What every dataset owes, whichever way it is read."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.data.datasets import IMAGENET_MEAN, IMAGENET_STD, Arrays, Data, source
from ablate.spec.parts import DATASETS
from ablate.spec.source import optional
from tests.tiny import TINY

EVERY = pytest.mark.parametrize("name", DATASETS)


def loaded(name: str, places: dict[str, str], holdout: float = 0.2, seed: int = 0) -> Data:
    module, location = source(name, places)
    run = TINY.replace(dataset=name, image_size=16, holdout=holdout, seed=seed, batch_size=8)
    module.check(run, location)
    found: Data = module.load(run, location)
    return found


@EVERY
@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_parts_are_disjoint_and_complete(name: str, holdout: float, places: dict[str, str]) -> None:
    data = loaded(name, places, holdout)
    together = np.concatenate(list(data.parts.values()))
    assert sorted(together) == list(range(len(data.labels)))
    assert (len(data.parts["heldout"]) == 0) == (holdout == 0)


@EVERY
def test_shapes_and_kinds_are_as_promised(name: str, places: dict[str, str]) -> None:
    data = loaded(name, places)
    assert data.labels.dtype == np.int64
    assert set(data.labels) == set(range(len(data.classes)))
    assert len(data.classes) == optional(DATASETS.path(name), "CLASSES", 0)
    if isinstance(data, Arrays):
        assert data.images.dtype == np.uint8
        assert data.images.ndim == 4
        assert len(data.labels) == len(data.images)
    else:
        assert data.reader[0].size == (8, 8)
        assert (data.mean, data.std) == (IMAGENET_MEAN, IMAGENET_STD)


@EVERY
def test_the_split_is_fixed_and_no_seed_changes_it(name: str, places: dict[str, str]) -> None:
    one, other = (loaded(name, places, seed=seed) for seed in (0, 1))
    for part in one.parts:
        np.testing.assert_array_equal(one.parts[part], other.parts[part])


@EVERY
def test_a_held_out_part_leaves_the_test_part_alone(name: str, places: dict[str, str]) -> None:
    whole, less = (loaded(name, places, holdout) for holdout in (0.0, 0.4))
    np.testing.assert_array_equal(whole.parts["test"], less.parts["test"])


def test_the_mean_and_deviation_are_timms() -> None:
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    assert (IMAGENET_MEAN, IMAGENET_STD) == (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
