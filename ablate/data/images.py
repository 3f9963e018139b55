"""Batches of a dataset for training and evaluation.

A process may train on a share of every batch, in several forward passes; `Share` selects its images. The augmentation
of an image depends only on (seed, epoch, index, repeat), not on the process that reads it. `repeat` numbers the copies
of an image in an epoch: those of `Run.repeats`, and those of further passes if `Run.train_fraction` is below 1.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ablate.data.datasets import Data, Encoded, Part
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 1
GROUP = 64  # Mixup and CutMix pair images within groups of this size
Batch = tuple[torch.Tensor, torch.Tensor]
NAMED = 20  # corrupt images that a record lists by name

log = logging.getLogger("ablate")


def generator(*parts: int | str) -> torch.Generator:
    """Return a random number generator for one purpose."""
    return torch.Generator().manual_seed(derive(*parts))


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy values from the CPU to a device without waiting; a plain `to` would wait for all queued work of a GPU."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Share:
    """The share of every global batch that one process trains on, and the size of its forward passes.

    Args:
        rank: rank of this process.
        world: number of processes.
        micro_batch: images per forward pass; 0 takes the whole share at once.
    """

    rank: int = 0
    world: int = 1
    micro_batch: int = 0

    def pieces(self, run: Run) -> list[slice]:
        """Return positions in a global batch, one slice per forward pass of this process.

        Raises:
            SpecError: when the batch cannot be divided equally, or a group for Mixup or CutMix would be split.
        """
        part, rest = divmod(run.batch_size, self.world)
        if rest or not part:
            raise SpecError(f"batch_size must be a multiple of the {self.world} processes, got {run.batch_size}")
        size = min(self.micro_batch or part, part)
        if run.mixes and size < run.batch_size and (part % GROUP or size % GROUP):
            raise SpecError(
                f"with Mixup or CutMix, forward passes must be multiples of {GROUP} images, got {size} from batch_size "
                f"{run.batch_size} over {self.world} processes; change --micro-batch or the number of processes"
            )
        start = self.rank * part
        return [slice(at, min(at + size, start + part)) for at in range(start, start + part, size)]

    def select(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the contiguous part of some indices for this process; joined by rank, the parts are the indices."""
        first, last = (rank * len(indices) // self.world for rank in (self.rank, self.rank + 1))
        return indices[first:last]


WHOLE = Share()


def stratified_share(labels: torch.Tensor, fraction: float, seed: int) -> torch.Tensor:
    """Return positions of a stratified share of images, ascending: the same fraction of each class, up to rounding.

    Classes are apportioned by the method of Sainte-Laguë, so that a larger share contains all images of a smaller one.

    Args:
        labels: int64, (n,).
        fraction: of the images, above 0 and at most 1.
        seed: seed of the run, which determines the share.
    """
    shuffle = torch.randperm(len(labels), generator=generator(seed, "train fraction"))
    of_class, order = labels[shuffle].sort(stable=True)
    counts = torch.bincount(labels)
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[of_class]
    turn = (rank + 0.5).double() / counts[of_class]
    # The order of the shuffle breaks ties between classes.
    in_turn = shuffle[torch.empty_like(turn).scatter_(0, order, turn).argsort(stable=True)]
    return in_turn[: round(fraction * len(labels))].sort().values


class Images(ABC):
    """Batches of normalised float32 images (B, C, S, S) and int64 labels (B,) on the training device.

    `corrupt` collects the indices of images that could not be decoded and were replaced by grey ones.

    Args:
        max_corrupt: largest share of corrupt images in a part.
    """

    channels: int
    stop_requested: Callable[[], bool] = staticmethod(lambda: False)  # then wait only shortly for a loader process

    def __init__(self, run: Run, data: Data, max_corrupt: float = 0.0) -> None:
        self.run = run
        self.classes = data.classes
        self.labels = torch.from_numpy(data.labels)
        self.parts = {part: torch.from_numpy(indices) for part, indices in data.parts.items()}
        self.corrupt: set[int] = set()
        self.max_corrupt = max_corrupt
        self._name = data.reader.name if isinstance(data, Encoded) else str
        if self.steps == 0:
            raise SpecError(
                f"batch_size must be at most {self.sizes['train']}, the training images of {run.dataset}, "
                f"got {run.batch_size}"
            )
        self.used = self._used()

    def _used(self) -> torch.Tensor:
        """Return the indices to train on, in the order of the training part: all, or a share of each class."""
        train = self.parts["train"]
        if self.run.train_fraction == 1:
            return train
        labels = self.labels[train]
        used = stratified_share(labels, self.run.train_fraction, self.run.seed)
        if lost := sorted(set(labels.tolist()) - set(labels[used].tolist())):
            raise SpecError(
                f"train_fraction {self.run.train_fraction:g} of {len(train)} images leaves {len(used)} and none of "
                f"class {self.classes[lost[0]]}; increase it"
            )
        return train[used]

    def replace_corrupt(self, index: int, reason: str) -> None:
        """Log and count an image that was replaced by a grey one; raise as `add_corrupt` does."""
        if index in self.corrupt:
            return
        log.warning("%s of %s is corrupt and replaced by a grey image: %s", self._name(index), self.run.dataset, reason)
        self.add_corrupt({index})

    def add_corrupt(self, found: Collection[int]) -> None:
        """Count corrupt images, found here, by another process, or before the run was resumed.

        Raises:
            SpecError: when a part has too many.
        """
        if self.corrupt.issuperset(found):
            return
        self.corrupt |= set(found)
        corrupt = torch.tensor(sorted(self.corrupt))
        for part, indices in self.parts.items():
            of_part = corrupt[torch.isin(corrupt, indices)].tolist()
            if len(of_part) > self.max_corrupt * len(indices):
                raise SpecError(self._too_many(part, of_part))

    def _too_many(self, part: Part, found: list[int]) -> str:
        some = ", ".join(self._name(index) for index in found[:3])
        return (
            f"{len(found)} of the {self.sizes[part]} images in the {part} part of {self.run.dataset} are corrupt, such "
            f"as {some}; fix them, or allow a share above {self.max_corrupt:g} with --max-corrupt"
        )

    def corrupt_facts(self) -> dict[str, Any]:
        """Return the number and names of corrupt images for a record; an empty dict if there are none."""
        names = [self._name(index) for index in sorted(self.corrupt)[:NAMED]]
        return {"broken": {"count": len(self.corrupt), "names": names}} if names else {}

    @property
    def sizes(self) -> Mapping[Part, int]:
        """Number of images per part."""
        return {part: len(indices) for part, indices in self.parts.items()}

    @property
    def steps(self) -> int:
        """Optimiser steps per epoch, from complete batches only."""
        return self.sizes["train"] // self.run.batch_size

    def samples(self, epoch: int) -> torch.Tensor:
        """Return index and repeat (n, 2) of every training image in the order of an epoch, complete batches only.

        The order of training is an endless sequence of passes, each a permutation of the images to train on. An epoch
        is a section of it with the length of the whole training part. So if all images are used, an epoch is one pass.

        With `repeats`, an epoch has the same number of steps and fewer images, each that many times. Copies are in the
        same batch if possible, but in different groups, so that they are not mixed with each other (the sampler of DeiT
        distributes them to different devices).
        """
        run, count = self.run, len(self.used)
        positions = torch.arange(self.steps * run.batch_size)
        if run.repeats > 1 and run.batch_size % GROUP == 0:
            positions = positions.view(self.steps, GROUP, -1).transpose(1, 2).flatten()
        first, at = divmod(epoch * self.sizes["train"], count)
        offsets = at + positions // run.repeats
        passes = range(first, first + int(offsets.max()) // count + 1)
        order = torch.cat([torch.randperm(count, generator=generator(run.seed, "order", number)) for number in passes])
        repeat = offsets // count * run.repeats + positions % run.repeats
        return torch.stack([self.used[order[offsets]], repeat], dim=1)

    def order(self, epoch: int) -> torch.Tensor:
        """Return the indices of an epoch, without repeats."""
        return self.samples(epoch)[:, 0]

    def pieces(self, epoch: int, start: int, share: Share) -> Iterator[torch.Tensor]:
        """Yield index and repeat (b, 2) for each forward pass of this process, from step `start` on."""
        batches = torch.split(self.samples(epoch), self.run.batch_size)
        for batch in batches[start:]:
            yield from (batch[piece] for piece in share.pieces(self.run))

    @abstractmethod
    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield the augmented images of `pieces`, one batch each; a step has `len(share.pieces(run))` batches."""

    @abstractmethod
    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield the images of a part for this process (`share.select`), each once, in their fixed order."""
