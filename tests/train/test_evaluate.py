"""Exact evaluation, compared with one by hand, and with missing and repeated images."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

from ablate.data.datasets import Part
from ablate.data.images import Images
from ablate.data.open import open_images
from ablate.model.build import build
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store.records import Record
from ablate.train.evaluate import evaluate, padded
from tests.tiny import TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def images_of(run: Run) -> Images:
    return open_images(run, Resources(), torch.device("cpu"))[0]


def test_the_outcome_of_each_image_is_kept(trained: Record) -> None:
    metrics = trained.metrics
    bits = np.unpackbits(np.frombuffer(base64.b64decode(metrics["correct"]), np.uint8))
    assert metrics["n"] == 360
    assert len(bits) == 360 + (-360 % 8)
    assert 100 * bits[:360].mean() == pytest.approx(metrics["top1"])
    assert not bits[360:].any()


class Fixed(torch.nn.Module):
    """Logits by the image's mean, whatever the batch: class 0 up to the middle, then class 6."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.mean((1, 2, 3)) > -0.8
        logits = torch.arange(10.0, 0.0, -1.0).repeat(len(images), 1)
        logits[:, 6] = torch.where(bright, 20.0, 0.0)
        return logits


@pytest.mark.parametrize("batch_size", [7, 256, 360])
@pytest.mark.parametrize("part", ["test", "heldout"])
def test_an_evaluation_by_hand(batch_size: int, part: Part) -> None:
    """Exact on any batch size: every image once, in the part's order."""
    run = TINY.replace(batch_size=batch_size)
    images = images_of(run)
    outcome = evaluate(Fixed(), images.evaluation(part), images.sizes[part])
    pixels, labels = (torch.cat(list(both)) for both in zip(*images.evaluation(part), strict=True))
    logits = Fixed()(pixels)
    correct = logits.argmax(1) == labels
    assert torch.equal(outcome.correct, correct)
    assert len(correct) == images.sizes[part]
    assert outcome.top1 == pytest.approx(100 * correct.float().mean().item())
    first_five = torch.stack([row.argsort(descending=True)[:5] for row in logits])
    assert outcome.top5 == pytest.approx(100 * (first_five == labels[:, None]).any(1).float().mean().item())
    right = logits.log_softmax(1)[torch.arange(len(labels)), labels]
    assert outcome.loss == pytest.approx(-right.mean().item(), rel=1e-5)


@pytest.mark.parametrize("part", ["test", "heldout"])
def test_padding_changes_no_outcome(part: Part) -> None:
    """A compiled model gets batches of one size; what it says of the padding is dropped."""
    images = images_of(TINY.replace(batch_size=100))
    batches = list(padded(images.evaluation(part)))
    assert {len(pixels) for pixels, _ in batches} == {100}
    assert len(batches[-1][1]) < 100
    n = images.sizes[part]
    plain, other = evaluate(Fixed(), images.evaluation(part), n), evaluate(Fixed(), batches, n)
    assert torch.equal(other.correct, plain.correct)
    assert other.loss == plain.loss


def test_an_accuracy_is_the_number_of_hits_over_that_of_images() -> None:
    """In float64: 97 of 100 are 97 %, not 97.00000286 %, as the mean in float32 says."""
    logits = torch.eye(10).repeat(10, 1)
    labels = torch.arange(10).repeat(10)
    logits[:3] = -logits[:3]  # the label is last
    logits[3:8, 9] = 2.0  # the label is second
    found = evaluate(torch.nn.Identity(), [(logits, labels)], 100)
    assert (found.top1, found.top5, found.in_five) == (92.0, 97.0, 97)
    assert found.metrics()["top5"] == 97.0


def test_an_evaluation_is_without_dropout() -> None:
    run = TINY.replace(drop=0.5, drop_path=0.5)
    images = images_of(run)
    model = build(run, 1, 10).train()
    one, other = (evaluate(model, images.evaluation("test"), images.sizes["test"]) for _ in range(2))
    assert one.loss == other.loss
    pixels, labels = (torch.cat(list(both)) for both in zip(*images.evaluation("test"), strict=True))
    with torch.no_grad():
        exact = torch.nn.functional.cross_entropy(model.eval()(pixels), labels).item()
    assert one.loss == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("other", [-1, 1])
def test_an_image_too_few_or_too_many_is_no_evaluation(other: int) -> None:
    images = images_of(TINY)
    with pytest.raises(AssertionError, match="an evaluation must read each of"):
        evaluate(Fixed(), images.evaluation("test"), images.sizes["test"] + other)
