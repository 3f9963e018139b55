"""What the training loop sees of a data set: batches of a part, and its facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch

from ablate.datasets import Arrays, Files, Part
from ablate.registry import SpecError
from ablate.seeds import derive
from ablate.spec import Run

BEHAVIOUR = 1
Batch = tuple[torch.Tensor, torch.Tensor]


def generator(*parts: int | str) -> torch.Generator:
    """A stream of random numbers for one purpose."""
    return torch.Generator().manual_seed(derive(*parts))


class Images(ABC):
    """Batches of float32 pictures (B, C, S, S), normalised, and int64 labels (B,), on the training device.

    Order and augmentation of training are functions of (seed, epoch, index) alone.
    """

    channels: int

    def __init__(self, run: Run, data: Arrays | Files) -> None:
        self.run = run
        self.classes = data.classes
        self.labels = torch.from_numpy(data.labels)
        self.parts = {part: torch.from_numpy(indices) for part, indices in data.parts.items()}
        if self.steps == 0:
            raise SpecError(
                f"batch_size is {run.batch_size}; {run.dataset} has {self.sizes['train']} training pictures"
            )

    @property
    def sizes(self) -> Mapping[Part, int]:
        """Number of pictures in each part."""
        return {part: len(indices) for part, indices in self.parts.items()}

    @property
    def steps(self) -> int:
        """Optimiser steps an epoch: whole batches only."""
        return self.sizes["train"] // self.run.batch_size

    def order(self, epoch: int) -> torch.Tensor:
        """The indices of the training pictures in this epoch's order, whole batches only."""
        shuffle = torch.randperm(self.sizes["train"], generator=generator(self.run.seed, "order", epoch))
        return self.parts["train"][shuffle[: self.steps * self.run.batch_size]]

    @abstractmethod
    def training(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, augmented."""

    @abstractmethod
    def evaluation(self, part: Part) -> Iterator[Batch]:
        """Every picture of a part once, in its fixed order."""
