"""Pictures decoded and augmented when needed, in loader processes if there are any.

What is drawn for a picture depends on (seed, epoch, index, repeat) alone, so the number of loader processes changes
nothing. They send uint8; normalisation and erasing are done on the training device.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import posterize, rand_augment_transform
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, transforms
from torchvision.transforms import functional as F

from ablate.data import augment
from ablate.data.datasets import Encoded, Part
from ablate.data.decode import decoded
from ablate.data.draws import Draws, crop_boxes, jitter_factors
from ablate.data.images import WHOLE, Batch, Images, Share, sent
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 2  # 2: draws shared with resident.py, crops padded and jittered, odd pictures upright and scaled
BICUBIC = InterpolationMode.BICUBIC
LOOP_GONE_S = 5.0  # after so long at most, a loader process sees that the one it works for is gone
AT_ONCE = 32  # pictures that a process holds decoded at their full size
CHANGES = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)

Broken = list[tuple[int, str]]
Piece = tuple[int | None, torch.Tensor]  # the epoch, None for evaluation, and rows of index and repeat


class Augmentation:
    """Pictures in RGB to squares of `image_size`, as it is drawn for (seed, epoch, index, repeat)."""

    def __init__(self, run: Run, mean: tuple[float, ...]) -> None:
        self.run = run
        self.whole = transforms.Compose(
            [transforms.Resize(run.image_size, BICUBIC), transforms.CenterCrop(run.image_size)]
        )
        self.auto: Any = automatic(run, mean) if run.auto_augment else None

    def __call__(self, pictures: list[Image.Image], draws: Draws) -> list[Image.Image]:
        """The augmented pictures.

        Args:
            draws: of these pictures; several at once cost hardly more than one.
        """
        cropped = self._cropped(pictures, draws)
        flips = draws.chance("flip", self.run.hflip).tolist()
        flipped = [F.hflip(picture) if flip else picture for picture, flip in zip(cropped, flips, strict=True)]
        if self.auto is not None:
            return self._automatic(flipped, draws)
        return self._jittered(flipped, draws) if self.run.color_jitter else flipped

    def _cropped(self, pictures: list[Image.Image], draws: Draws) -> list[Image.Image]:
        size, pad = self.run.image_size, self.run.crop_padding
        if self.run.crop_min_area < 1:
            widths, heights = torch.tensor([picture.size for picture in pictures]).unbind(dim=1)
            boxes = crop_boxes(draws, heights, widths, self.run.crop_min_area).tolist()
            return [resampled(picture, box, size) for picture, box in zip(pictures, boxes, strict=True)]
        whole = [self.whole(picture) for picture in pictures]
        if not pad:
            return whole
        corners = (draws.offsets("padding", 2 * pad) - pad).tolist()
        # Pillow fills with black.
        return [p.crop((left, top, left + size, top + size)) for p, (top, left) in zip(whole, corners, strict=True)]

    def _automatic(self, pictures: list[Image.Image], draws: Draws) -> list[Image.Image]:
        changed = []
        for picture, index, repeat in zip(pictures, draws.index.tolist(), draws.repeat.tolist(), strict=True):
            with global_streams(derive(self.run.seed, "auto", draws.epoch, index, repeat)):
                changed.append(self.auto(picture))
        return changed

    def _jittered(self, pictures: list[Image.Image], draws: Draws) -> list[Image.Image]:
        changed = []
        drawn = (numbers.tolist() for numbers in jitter_factors(draws, self.run.color_jitter))
        for picture, order, factors in zip(pictures, *drawn, strict=True):
            for number in order:
                picture = CHANGES[number](picture, factors[number])
            changed.append(picture)
        return changed


def automatic(run: Run, mean: tuple[float, ...]) -> Any:
    """timm's RandAugment, with what timm's own `create_transform` gives it."""
    more = {
        "translate_const": int(run.image_size * 0.45),
        "img_mean": tuple(min(255, round(255 * value)) for value in mean),
        "interpolation": Image.Resampling.BICUBIC,
    }
    auto = rand_augment_transform(run.auto_augment, more)
    for operation in auto.ops:
        if operation.name.startswith("Posterize"):
            operation.aug_fn = posterized
    return auto


def posterized(picture: Image.Image, bits: int, **_: Any) -> Image.Image:
    """timm's posterize, black where no bit is kept: timm asks for that at its highest level, and Pillow 13 refuses."""
    if bits <= 0:
        return Image.new(picture.mode, picture.size)
    kept: Image.Image = posterize(picture, bits)  # type: ignore[no-untyped-call]
    return kept


def resampled(picture: Image.Image, box: list[int], size: int) -> Image.Image:
    """A box (top, left, height, width) of a picture as a square of `size`: along the rows, then along the columns.

    In one step, newer versions of Pillow choose which comes first, and `augment.resampled` could not do the same.
    """
    top, left, height, width = box
    seen = picture.crop((left, top, left + width, top + height))
    return seen.resize((size, height), Image.Resampling.BICUBIC).resize((size, size), Image.Resampling.BICUBIC)


@contextmanager
def global_streams(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's global streams seeded for a moment, for timm's transforms draw from all of them."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed also formats a traceback a kind of GPU
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


class Decoding(Dataset[tuple[torch.Tensor, Broken]]):
    """A piece's pictures, uint8 (n, 3, S, S), and which of them are broken and why."""

    def __init__(self, run: Run, data: Encoded) -> None:
        self.run, self.reader = run, data.reader.in_any_order()
        self.augmentation = Augmentation(run, data.mean)
        # timm's own, so that accuracy is what timm would find; the crop is taken from floor(image_size / eval_crop).
        self.evaluation = create_transform(
            run.image_size, interpolation="bicubic", crop_pct=run.eval_crop, normalize=False
        )

    def __getitem__(self, piece: Piece) -> tuple[torch.Tensor, Broken]:
        epoch, samples = piece
        found, broken = [], []
        for some in torch.split(samples, AT_ONCE):
            pictures = []
            for index in some[:, 0].tolist():
                picture, reason = decoded(lambda: self.reader[index], self.run.image_size)  # noqa: B023 - called at once
                broken += [] if reason is None else [(index, reason)]
                pictures.append(picture)
            found += self._prepared(pictures, epoch, some)
        return torch.stack(found), broken

    def _prepared(self, pictures: list[Image.Image], epoch: int | None, samples: torch.Tensor) -> list[torch.Tensor]:
        if epoch is None:
            return [self.evaluation(picture) for picture in pictures]
        augmented = self.augmentation(pictures, Draws.of(self.run.seed, epoch, samples))
        return [F.pil_to_tensor(picture) for picture in augmented]


def _as_it_is(item: Any) -> Any:
    return item


def _leave_signals_to_the_loop(_: int) -> None:
    """Ctrl-C and Slurm signal whole groups: a loader that died of it would end the run before its checkpoint."""
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_loop_says, daemon=True).start()


def _end_when_the_loop_says() -> None:
    """SIGTERM counts when it comes from the process that trains, which waits for its loaders to end."""
    loop = multiprocessing.parent_process()  # not getppid, which is the fork server where there is one
    while loop is not None and loop.is_alive():
        told = signal.sigtimedwait({signal.SIGTERM}, LOOP_GONE_S)
        if told is not None and told.si_pid == loop.pid:
            break
    os._exit(0)


class Loader:
    """What a data set gives for one list of items after another, by processes that stay from list to list.

    Args:
        workers: number of processes, each with one thread; 0 does the work here.
    """

    def __init__(self, dataset: Dataset[Any], workers: int, device: torch.device) -> None:
        self.items: list[Any] = []
        self.loader: DataLoader[Any] = DataLoader(
            dataset,
            sampler=self.items,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals_to_the_loop,
            collate_fn=_as_it_is,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # else it takes a number from the global stream
        )

    def __call__(self, items: Sequence[Any]) -> Iterator[tuple[torch.Tensor, Broken]]:
        """What comes of each item, in order; a list that was not read to its end is dropped."""
        self.items[:] = items
        return iter(self.loader)


class FromFiles(Images):
    """Batches decoded when they are needed."""

    channels = 3

    def __init__(self, run: Run, data: Encoded, device: torch.device, resources: Resources) -> None:
        super().__init__(run, data, resources.max_corrupt)
        self.mean, self.std, self.device = data.mean, data.std, device
        self.loader = Loader(Decoding(run, data), resources.workers, device)

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        pieces = list(self.pieces(epoch, start, share))
        for samples, (pictures, labels) in zip(pieces, self._batches(pieces, epoch), strict=True):
            yield augment.erased(self.run, pictures, Draws.of(self.run.seed, epoch, samples)), labels

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        chosen = share.of(self.parts[part])
        samples = torch.stack([chosen, torch.zeros_like(chosen)], dim=1)
        yield from self._batches(torch.split(samples, self.run.batch_size) if len(samples) else [], None)

    def _batches(self, pieces: Sequence[torch.Tensor], epoch: int | None) -> Iterator[Batch]:
        items = self.loader([(epoch, samples) for samples in pieces])
        for samples, (pictures, broken) in zip(pieces, items, strict=True):
            for index, reason in broken:
                self.replaced(index, reason)
            labels = sent(self.labels[samples[:, 0]], self.device)
            yield augment.normalised(pictures.to(self.device, non_blocking=True), self.mean, self.std), labels
