"""The disk a study takes, from formulas, against files that torch writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ablate.disk import ELEMENT, checkpoint, needed, pictures, weights
from ablate.models import build
from ablate.optim import optimiser
from ablate.spec import Run
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
    run = VARIANTS[name].but(opt=opt, dim=64)
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
    run = TINY.but(ema=0.99)
    assert weights(run, 1, 10) == 2 * weights(TINY, 1, 10)
    assert checkpoint(run, 1, 10) == checkpoint(TINY, 1, 10) + weights(TINY, 1, 10)


def test_deit_base_takes_a_gigabyte_a_checkpoint() -> None:
    run = Run(dataset="imagenet", image_size=224, dim=768, heads=12)
    assert weights(run, 3, 1000) == ELEMENT * 86_567_656
    assert checkpoint(run, 3, 1000) == pytest.approx(1.04e9, rel=0.01)


def test_two_checkpoints_of_the_largest_runs_that_train_side_by_side() -> None:
    runs = [TINY, TINY.but(dim=32), TINY.but(dim=64)]
    disk = needed(runs, 2, INPUTS)
    assert disk.weights == sum(weights(run, 1, 10) for run in runs)
    assert disk.checkpoints == 2 * (checkpoint(runs[1], 1, 10) + checkpoint(runs[2], 1, 10))
    assert needed(runs, 16, INPUTS).side_by_side == 3
    assert needed([], 16, {}).checkpoints == 0


def test_pictures_are_counted_once_a_size() -> None:
    resident = TINY.but(dataset="digits")
    one = pictures(resident, 1)
    inputs = {"digits": (1, 10)}
    assert needed([resident, resident.but(seed=1)], 1, inputs).pictures == one
    assert needed([resident, resident.but(image_size=16)], 1, inputs).pictures == one + pictures(
        resident.but(image_size=16), 1
    )


def test_pictures_that_stay_in_their_files_take_nothing_more() -> None:
    assert pictures(TINY.but(loader="workers"), 1) == 0
    assert pictures(TINY.but(dataset="a_folder", loader="resident"), 3) == 0
