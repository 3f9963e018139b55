"""Mixup and CutMix as timm does them, as a function of the step.

timm draws from numpy's global stream and pairs the first image of a batch with its last. Here the stream is seeded by
the step, and images are paired inside fixed groups of `ablate.data.images.GROUP`, each mixed by the same proportion. So
the result does not depend on how a batch is spread over processes and forward passes.
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
    """Mixes the images of a run, where it asks for that."""

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
        """Mixed images (B, C, S, S), in place, and targets (B, classes), smoothed; as they came where nothing mixes.

        Args:
            images: whole groups of a step's batch, the last one as long as what is left.
            labels: int64, (B,).
        """
        if not self.run.mixes:
            return images, labels
        targets = []
        for some, of_some in zip(torch.split(images, GROUP), torch.split(labels, GROUP), strict=True):
            with _numpy_seeded(derive(self.run.seed, "mix", epoch, step)):
                targets.append(self.mixup(some, of_some)[1])  # timm mixes the images in place
        return images, torch.cat(targets)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """numpy's global stream, seeded for a moment."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
