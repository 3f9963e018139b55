"""The disk a study takes, from formulas, against files that torch writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ablate import CIFAR10
from ablate.dispatch.disk import ELEMENT, KEPT, checkpoint, images, needed, weights
from ablate.model.build import build
from ablate.spec.run import Run
from ablate.train import checkpoint as checkpoints
from ablate.train.optim import optimiser
from tests.tiny import TINY, VARIANTS

INPUTS = {"digits_shifted": (1, 10)}
# Beside the numbers a file holds names and the zip archive's entries, some hundred bytes a tensor.
BESIDE = 500


def trained_one_step(run: Run) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = build(run, 1, 10)
    optimizer = optimiser(run, model)
    model(torch.randn(2, 1, run.image_size, run.image_size)).sum().backward()
    optimizer.step()
    return model, optimizer


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
@pytest.mark.parametrize("name", ["mixer attention", "mixer random", "stem frozen"])
def test_as_large_as_what_is_saved(name: str, opt: str, tmp_path: Path) -> None:
    run = VARIANTS[name].replace(opt=opt, dim=64)
    model, optimizer = trained_one_step(run)
    path = tmp_path / "file"
    for content, expected in (
        (model.state_dict(), weights(run, 1, 10)),
        ([model.state_dict(), optimizer.state_dict()], checkpoint(run, 1, 10)),
    ):
        torch.save(content, path)
        tensors = 4 * len(model.state_dict())
        assert expected <= path.stat().st_size <= expected + BESIDE * tensors


def test_an_average_of_the_weights_is_another_copy() -> None:
    run = TINY.replace(ema=0.99)
    assert weights(run, 1, 10) == 2 * weights(TINY, 1, 10)
    assert checkpoint(run, 1, 10) == checkpoint(TINY, 1, 10) + weights(TINY, 1, 10)


def test_deit_base_takes_a_gigabyte_a_checkpoint() -> None:
    run = Run(dataset="imagenet", image_size=224, dim=768, heads=12)
    assert weights(run, 3, 1000) == ELEMENT * 86_567_656
    assert checkpoint(run, 3, 1000) == pytest.approx(1.04e9, rel=0.01)


def test_three_checkpoints_of_the_largest_runs_that_train_side_by_side() -> None:
    runs = [TINY, TINY.replace(dim=32), TINY.replace(dim=64)]
    disk = needed(runs, 2, INPUTS)
    assert disk.weights == sum(weights(run, 1, 10) for run in runs)
    assert disk.checkpoints == 3 * (checkpoint(runs[1], 1, 10) + checkpoint(runs[2], 1, 10))
    assert needed(runs, 16, INPUTS).side_by_side == 3
    assert needed([], 16, {}).checkpoints == 0


def test_no_more_checkpoints_are_on_disk_than_planned() -> None:
    """While the loop writes one, with the two before it still there."""
    assert checkpoints.KEPT + 1 == KEPT


def test_pictures_are_counted_once_a_size() -> None:
    run = Run.from_dict(CIFAR10.fields)
    assert images(run, 3) == 60_000 * 3 * 32**2
    assert images(run.replace(eval_crop=0.875), 3) == 60_000 * 3 * 36**2
    inputs = {"cifar10": (3, 10)}
    assert needed([run, run.replace(seed=1)], 1, inputs).images == images(run, 3)
    larger = run.replace(image_size=64)
    assert needed([run, larger], 1, inputs).images == images(run, 3) + images(larger, 3)


@pytest.mark.parametrize(
    "run",
    [
        TINY.replace(loader="workers"),
        TINY,
        TINY.replace(dataset="digits"),
        TINY.replace(dataset="a_folder", loader="resident"),
    ],
    ids=["workers", "digits_shifted", "digits", "unknown size"],
)
def test_pictures_that_are_not_kept_take_nothing_more(run: Run) -> None:
    assert images(run, 3) == 0
