"""timm's Mixup and CutMix as a function of the step.

timm draws from numpy's global generator and pairs the first image of a batch with its last. Here each step seeds the
generator, and images are paired within fixed groups of `ablate.data.images.GROUP`, all mixed with the same ratio. So
the result does not depend on how a batch is divided into processes and forward passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from timm.data import Mixup

from ablate.data.images import GROUP, Batch
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 1


class Mixing:
    """Mixes the images of a run that has Mixup or CutMix."""

    def __init__(self, run: Run, classes: int) -> None:
        self.run = run
        self.mixup = Mixup(  # type: ignore[no-untyped-call]
            mixup_alpha=run.mixup,
            cutmix_alpha=run.cutmix,
            switch_prob=run.mix_switch,
            label_smoothing=run.smoothing,
            num_classes=classes,
        )

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, epoch: int, step: int) -> Batch:
        """Mix images (B, C, S, S) in place; return them with smoothed targets (B, classes), or unchanged with labels.

        Args:
            images: complete groups of a step's batch; the last group may be smaller.
            labels: int64, (B,).
        """
        if not self.run.mixes:
            return images, labels
        targets = []
        for some, of_some in zip(torch.split(images, GROUP), torch.split(labels, GROUP), strict=True):
            with _seed_numpy(derive(self.run.seed, "mix", epoch, step)):
                targets.append(self.mixup(some, of_some)[1])  # timm mixes the images in place
        return images, torch.cat(targets)


@contextmanager
def _seed_numpy(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, and restore its state at the end."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
