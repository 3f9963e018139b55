"""One optimiser step: in one or several forward passes, in each precision, compiled, with moving average."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from ablate.data.images import Batch
from ablate.data.open import open_images
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.learner import Learner
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def learner_of(run: Run, **resources: Any) -> Learner:
    return Learner(run, 1, 10, CPU, Resources(**resources))


def steps(run: Run, count: int = 4, **resources: Any) -> tuple[list[float], Learner]:
    """The losses of the first steps, and what they left."""
    learner = learner_of(run, **resources)
    images, _ = open_images(run, Resources(), CPU)
    batches: Iterator[Batch] = iter(images.training(0, share=learner.share))
    learner.net.train()
    return [learner.step(batches, 0, step).item() for step in range(count)], learner


def weights_of(learner: Learner) -> torch.Tensor:
    return parameters_to_vector(learner.model.parameters()).detach()


RECIPES = {
    "plain": TINY,
    "clipped": TINY.replace(clip_grad=0.1),
    "mixed": TINY.replace(mixup=0.8, cutmix=1.0, smoothing=0.1, repeats=3),
    "sgd": TINY.replace(opt="sgd", lr=0.1),
    "odd": TINY.replace(batch_size=250),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("micro_batch", [64, 192])
def test_pieces_add_up_to_the_whole_batch(recipe: str, micro_batch: int) -> None:
    """Also where the last piece is smaller than the others."""
    run = RECIPES[recipe]
    whole, once = steps(run)
    pieces, more = steps(run, micro_batch=micro_batch)
    assert len(more.weights) == -(-run.batch_size // micro_batch)
    # Sums in another order: 6e-8 for each in fp32. AdamW makes more of it where a gradient is near its epsilon, at most
    # lr = 1e-3 in a step.
    assert pieces == pytest.approx(whole, rel=1e-5)
    assert torch.allclose(weights_of(more), weights_of(once), atol=1e-4)


def test_each_piece_draws_its_own_dropout() -> None:
    run = TINY.replace(drop=0.3)
    assert steps(run, 1)[0] != pytest.approx(steps(run, 1, micro_batch=128)[0], rel=1e-6)


def test_a_batch_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(SpecError, match="must be multiples of 64 images, got 100"):
        learner_of(TINY.replace(mixup=0.8), micro_batch=100)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_stays_near(precision: str) -> None:
    exact, rough = (steps(TINY.replace(precision=name))[0] for name in ("fp32", precision))
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.02)


def test_fp16_scales_its_loss_and_takes_back_too_large_a_scale() -> None:
    _, learner = steps(TINY.replace(precision="fp16"), 1)
    assert learner.scaler.get_scale() == 2.0**16
    learner.scaler.update(2.0**40)
    before = weights_of(learner)
    images, _ = open_images(TINY, Resources(), CPU)
    learner.step(iter(images.training(0)), 0, 1)
    assert torch.equal(weights_of(learner), before), "a step whose gradients overflow is not taken"
    assert learner.scaler.get_scale() == 2.0**39


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clipping_is_of_the_gradient_not_of_the_scaled_one(precision: str) -> None:
    run = TINY.replace(precision=precision, opt="sgd", lr=1.0, weight_decay=0.0, clip_grad=1e-3)
    before = weights_of(learner_of(run))
    moved = (weights_of(steps(run, 1)[1]) - before).norm().item()
    assert moved == pytest.approx(1.9e-3, rel=0.02)  # timm's SGD has Nesterov momentum: 1 + 0.9 gradients


def test_channels_last_changes_the_layout_and_not_the_result() -> None:
    run = TINY.replace(stem="conv")
    (one, plain), (other, last) = steps(run), steps(run, channels_last=True)
    assert other == pytest.approx(one, rel=1e-5)
    convolutions = [p for p in last.model.parameters() if p.dim() == 4 and p.shape[1] > 1]
    assert convolutions
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in convolutions)
    assert list(plain.model.state_dict()) == list(last.model.state_dict())


@pytest.mark.filterwarnings("default")  # what torch's compiler warns of is torch's
def test_compiled_it_computes_the_same_under_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a back end that traces and leaves out the minutes that code generation takes."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    run = TINY.replace(depth=1)
    (eager, plain), (compiled, fast) = steps(run, 2), steps(run, 2, compile=True)
    assert compiled == pytest.approx(eager, rel=1e-4)
    assert list(fast.state()["model"]) == list(plain.state()["model"])


def test_the_moving_average_by_hand() -> None:
    run = TINY.replace(ema=0.75)
    learner = learner_of(run)
    images, _ = open_images(run, Resources(), CPU)
    batches = iter(images.training(0))
    expected = weights_of(learner)
    for step in range(3):
        learner.step(batches, 0, step)
        expected = 0.75 * expected + 0.25 * weights_of(learner)
    average = parameters_to_vector(learner.ema.module.parameters())
    assert torch.allclose(average, expected, atol=1e-6)
    assert not torch.allclose(average, weights_of(learner), atol=1e-4)


def test_mixed_targets_are_smoothed_once() -> None:
    """Where lambda leaves the images nearly alone, the loss is that of smoothed labels."""
    plain, _ = steps(TINY.replace(smoothing=0.1), 1)
    mixed, _ = steps(TINY.replace(smoothing=0.1, mixup=1e-6), 1)
    assert mixed == pytest.approx(plain, rel=0.02)


@pytest.mark.parametrize(
    "run", [TINY.replace(ema=0.9), TINY.replace(precision="fp16"), TINY.replace(opt="sgd")], ids=["ema", "fp16", "sgd"]
)
def test_a_state_is_taken_up_whole(run: Run) -> None:
    _, one = steps(run, 2)
    other = learner_of(run)
    other.load(deepcopy(one.state()))
    images, _ = open_images(run, Resources(), CPU)
    after = [learner.step(iter(images.training(0, 2)), 0, 2).item() for learner in (one, other)]
    assert after[0] == after[1]
    assert torch.equal(weights_of(one), weights_of(other))
