"""Mixup and CutMix: a function of (seed, epoch, step), and of the image's place in its group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ablate.data.images import GROUP, Share
from ablate.data.mixup import Mixing
from tests.tiny import TINY

RUN = TINY.replace(batch_size=4 * GROUP, mixup=0.8, cutmix=1.0, smoothing=0.1)
CLASSES = 5


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (RUN.batch_size,), generator=generator)
    return torch.randn(RUN.batch_size, 3, 8, 8, generator=generator), labels


def mixed(epoch: int = 0, step: int = 0, where: slice = slice(None), **changes: Any) -> tuple[torch.Tensor, ...]:
    images, labels = batch()
    return Mixing(RUN.replace(**changes), CLASSES)(images[where].clone(), labels[where], epoch, step)


@pytest.mark.parametrize(("world", "micro"), [(1, 0), (1, GROUP), (2, 0), (2, GROUP), (4, 0)])
@pytest.mark.parametrize("step", range(4))
def test_any_shares_together_are_the_whole(world: int, micro: int, step: int) -> None:
    whole = mixed(step=step)
    pieces = [piece for rank in range(world) for piece in Share(rank, world, micro).pieces(RUN)]
    parts = [mixed(step=step, where=piece) for piece in pieces]
    for number in range(2):
        assert torch.equal(whole[number], torch.cat([part[number] for part in parts]))


def test_it_is_of_seed_epoch_and_step() -> None:
    first = mixed()[0]
    assert torch.equal(first, mixed()[0])
    for other in (mixed(epoch=1), mixed(step=1), mixed(seed=1)):
        assert not torch.equal(first, other[0])


def test_an_image_meets_only_its_own_group() -> None:
    images, labels = batch()
    changed = images.clone()
    changed[:GROUP] += 1
    one = Mixing(RUN, CLASSES)(images, labels, 0, 0)[0]
    other = Mixing(RUN, CLASSES)(changed, labels, 0, 0)[0]
    assert torch.equal(one[GROUP:], other[GROUP:])
    assert not torch.equal(one[:GROUP], other[:GROUP])


def test_targets_are_smoothed_and_sum_to_one() -> None:
    _, targets = mixed()
    assert targets.shape == (RUN.batch_size, CLASSES)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(RUN.batch_size))
    assert targets.min().item() == pytest.approx(0.1 / CLASSES)


def test_mixup_blends_an_image_with_its_partner_as_its_target_says() -> None:
    images, labels = batch()
    found, targets = mixed(cutmix=0.0, smoothing=0.0)
    partner = torch.arange(RUN.batch_size).view(-1, GROUP).flip(1).flatten()
    different = labels != labels[partner]
    share = targets[torch.arange(len(labels)), labels]
    assert share[different].unique().numel() == 1, "one proportion a step"
    lam = share[different][0]
    torch.testing.assert_close(found, lam * images + (1 - lam) * images[partner])


def test_cutmix_pastes_as_much_as_its_target_says() -> None:
    images, labels = batch()
    found, targets = mixed(mixup=0.0, smoothing=0.0)
    partner = torch.arange(RUN.batch_size).view(-1, GROUP).flip(1).flatten()
    own, pasted = found == images, found == images[partner]
    assert (own | pasted).all()
    at = (labels != labels[partner]).nonzero()[0, 0]
    assert own[at].float().mean().item() == pytest.approx(targets[at, labels[at]].item(), abs=1e-6)


def test_both_come_in_turn() -> None:
    """Where both are on, a step has one of them, by `mix_switch`."""
    images, _ = batch()
    partner = torch.arange(RUN.batch_size).view(-1, GROUP).flip(1).flatten()

    def pastes(step: int) -> bool:
        found = mixed(step=step)[0]
        return bool(((found == images) | (found == images[partner])).all())

    assert {pastes(step) for step in range(12)} == {False, True}


def test_without_either_nothing_is_touched() -> None:
    images, labels = batch()
    found = Mixing(RUN.replace(mixup=0.0, cutmix=0.0), CLASSES)(images, labels, 0, 0)
    assert found[0] is images
    assert found[1] is labels


def test_numpys_stream_is_left_alone() -> None:
    np.random.seed(3)
    drawn = np.random.rand()
    np.random.seed(3)
    mixed()
    assert np.random.rand() == drawn
