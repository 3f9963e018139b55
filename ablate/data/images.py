"""What the training loop sees of a data set: batches of a part, and its facts.

A process may train on a share of every batch, in several forward passes: `Share` says which pictures those are. A
picture is augmented as a function of (seed, epoch, index, repeat) alone, whoever reads it. `repeat` counts its copies
in an epoch: those of `Run.repeats`, and those of further passes where `Run.train_fraction` is below 1.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ablate.data.datasets import Data, Encoded, Part
from ablate.spec.errors import SpecError
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 1
GROUP = 64  # pictures that Mixup and CutMix pair with each other
Batch = tuple[torch.Tensor, torch.Tensor]
NAMED = 20  # broken pictures that a record names

log = logging.getLogger("ablate")


def generator(*parts: int | str) -> torch.Generator:
    """A stream of random numbers for one purpose."""
    return torch.Generator().manual_seed(derive(*parts))


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values from the CPU on a device, which is not waited for: a plain `to` would first let a GPU finish its queue."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Share:
    """What of every global batch one process trains on, and in pieces of what size.

    Args:
        rank: of this process.
        world: number of processes.
        micro_batch: pictures in one forward pass; 0 takes all of the process's at once.
    """

    rank: int = 0
    world: int = 1
    micro_batch: int = 0

    def pieces(self, run: Run) -> list[slice]:
        """Positions in a global batch, a slice for each forward pass of this process.

        Raises:
            SpecError: when the batch does not divide, or a group that is mixed would be cut.
        """
        part, rest = divmod(run.batch_size, self.world)
        if rest or not part:
            raise SpecError(f"batch_size is {run.batch_size}; {self.world} processes cannot share it equally")
        size = min(self.micro_batch or part, part)
        if run.mixes and size < run.batch_size and (part % GROUP or size % GROUP):
            raise SpecError(
                f"batch_size {run.batch_size} comes in pieces of {size} over {self.world} processes; Mixup and CutMix "
                f"pair pictures in groups of {GROUP}, wanted are multiples of it"
            )
        start = self.rank * part
        return [slice(at, min(at + size, start + part)) for at in range(start, start + part, size)]

    def of(self, indices: torch.Tensor) -> torch.Tensor:
        """This process's run of some indices; all processes' together, in the order of ranks, are the indices."""
        first, last = (rank * len(indices) // self.world for rank in (self.rank, self.rank + 1))
        return indices[first:last]


WHOLE = Share()


def stratified(labels: torch.Tensor, fraction: float, seed: int) -> torch.Tensor:
    """Positions of a share of some pictures, ascending: of every class that share, but for rounding.

    A class gets its pictures as parties get seats by the method of Sainte-Laguë, so a larger share has all pictures of
    a smaller one.

    Args:
        labels: int64, (n,).
        seed: of the run; the share is drawn from it.
    """
    shuffle = torch.randperm(len(labels), generator=generator(seed, "train fraction"))
    of_class, order = labels[shuffle].sort(stable=True)
    counts = torch.bincount(labels)
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[of_class]
    turn = (rank + 0.5).double() / counts[of_class]
    # Where classes have equal turns, the order of the shuffle decides.
    in_turn = shuffle[torch.empty_like(turn).scatter_(0, order, turn).argsort(stable=True)]
    return in_turn[: round(fraction * len(labels))].sort().values


class Images(ABC):
    """Batches of float32 pictures (B, C, S, S), normalised, and int64 labels (B,), on the training device.

    `broken` gathers the indices of pictures that could not be decoded and were replaced by grey ones.

    Args:
        allow_broken: the share of a part's pictures that may be broken.
    """

    channels: int

    def __init__(self, run: Run, data: Data, allow_broken: float = 0.0) -> None:
        self.run = run
        self.classes = data.classes
        self.labels = torch.from_numpy(data.labels)
        self.parts = {part: torch.from_numpy(indices) for part, indices in data.parts.items()}
        self.broken: set[int] = set()
        self.allow_broken = allow_broken
        self._name = data.reader.name if isinstance(data, Encoded) else str
        if self.steps == 0:
            raise SpecError(
                f"batch_size is {run.batch_size}; {run.dataset} has {self.sizes['train']} training pictures"
            )
        self.used = self._used()

    def _used(self) -> torch.Tensor:
        """The indices trained on, in the order of the training part: all of it, or a share of each class."""
        train = self.parts["train"]
        if self.run.train_fraction == 1:
            return train
        labels = self.labels[train]
        used = stratified(labels, self.run.train_fraction, self.run.seed)
        if lost := sorted(set(labels.tolist()) - set(labels[used].tolist())):
            raise SpecError(
                f"train_fraction {self.run.train_fraction:g} of {len(train)} pictures leaves {len(used)} and none of "
                f"class {self.classes[lost[0]]}; wanted is a larger share"
            )
        return train[used]

    def replaced(self, index: int, reason: str) -> None:
        """Name a picture that could not be decoded, and count it; raises as `meet` does."""
        if index in self.broken:
            return
        log.warning("%s of %s is replaced by a grey picture: %s", self._name(index), self.run.dataset, reason)
        self.meet({index})

    def meet(self, found: Collection[int]) -> None:
        """Count pictures that could not be decoded, here, by another process, or before the run was resumed.

        Raises:
            SpecError: when there are too many in a part.
        """
        if self.broken.issuperset(found):
            return
        self.broken |= set(found)
        broken = torch.tensor(sorted(self.broken))
        for part, indices in self.parts.items():
            of_part = broken[torch.isin(broken, indices)].tolist()
            if len(of_part) > self.allow_broken * len(indices):
                raise SpecError(self._too_many(part, of_part))

    def _too_many(self, part: Part, found: list[int]) -> str:
        some = ", ".join(self._name(index) for index in found[:3])
        return (
            f"{len(found)} of the {self.sizes[part]} pictures in the {part} part of {self.run.dataset} cannot be "
            f"decoded, such as {some}; mend them, or allow more than {self.allow_broken:g} of them with --max-corrupt"
        )

    def trouble(self) -> dict[str, Any]:
        """What a record says of broken pictures; nothing where there are none."""
        names = [self._name(index) for index in sorted(self.broken)[:NAMED]]
        return {"broken": {"count": len(self.broken), "names": names}} if names else {}

    @property
    def sizes(self) -> Mapping[Part, int]:
        """Number of pictures in each part."""
        return {part: len(indices) for part, indices in self.parts.items()}

    @property
    def steps(self) -> int:
        """Optimiser steps an epoch: whole batches only."""
        return self.sizes["train"] // self.run.batch_size

    def samples(self, epoch: int) -> torch.Tensor:
        """Index and repeat (n, 2) of every training picture in this epoch's order, whole batches only.

        The order of training is one endless row of passes, each a permutation of the pictures used; an epoch is as long
        a piece of it as the whole training part. So where all of it is used, an epoch is a pass.

        With `repeats` an epoch has as many steps as without: each picture it draws comes that many times, in one batch
        where it can, but in different groups of it, so that copies are not mixed with each other (DeiT's sampler deals
        them to different devices).
        """
        run, count = self.run, len(self.used)
        positions = torch.arange(self.steps * run.batch_size)
        if run.repeats > 1 and run.batch_size % GROUP == 0:
            positions = positions.view(self.steps, GROUP, -1).transpose(1, 2).flatten()
        first, at = divmod(epoch * self.sizes["train"], count)
        places = at + positions // run.repeats
        passes = range(first, first + int(places.max()) // count + 1)
        row = torch.cat([torch.randperm(count, generator=generator(run.seed, "order", number)) for number in passes])
        repeat = places // count * run.repeats + positions % run.repeats
        return torch.stack([self.used[row[places]], repeat], dim=1)

    def order(self, epoch: int) -> torch.Tensor:
        """The indices alone."""
        return self.samples(epoch)[:, 0]

    def pieces(self, epoch: int, start: int, share: Share) -> Iterator[torch.Tensor]:
        """Index and repeat (b, 2) for each forward pass of this process, from step `start` on."""
        batches = torch.split(self.samples(epoch), self.run.batch_size)
        for batch in batches[start:]:
            yield from (batch[piece] for piece in share.pieces(self.run))

    @abstractmethod
    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """The augmented pictures of `pieces`, one batch each: `len(share.pieces(run))` batches are a step."""

    @abstractmethod
    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        """This process's pictures of a part (`share.of`), each once, in their fixed order."""
