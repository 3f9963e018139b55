"""Images decoded and augmented when needed, in loader processes if there are any.

The random numbers of an image depend only on (seed, epoch, index, repeat), so the number of loader processes does not
change results. Loader processes return uint8; the training device normalises and erases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import posterize, rand_augment_transform
from torchvision.transforms import InterpolationMode, transforms
from torchvision.transforms import functional as F

from ablate.data import augment
from ablate.data.datasets import Encoded, Part
from ablate.data.decode import decode
from ablate.data.draws import Draws, crop_boxes, jitter_factors
from ablate.data.images import WHOLE, Batch, Images, Share, to_device
from ablate.data.loader_process import ITEM, Corrupt, Result, no_beat
from ablate.data.loaders import Loader
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 2  # 2: draws shared with resident.py, padded crops and jitter
BICUBIC = InterpolationMode.BICUBIC
CHANGES = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)

Piece = tuple[int | None, torch.Tensor]  # the epoch (None for evaluation), and rows of index and repeat


class Augmentation:
    """Augmentation of RGB images to squares of `image_size`, as a function of (seed, epoch, index, repeat)."""

    def __init__(self, run: Run, mean: tuple[float, ...]) -> None:
        self.run = run
        self.whole = transforms.Compose(
            [transforms.Resize(run.image_size, BICUBIC), transforms.CenterCrop(run.image_size)]
        )
        self.auto: Any = rand_augment(run, mean) if run.auto_augment else None

    def __call__(self, images: list[Image.Image], draws: Draws) -> list[Image.Image]:
        """Return the augmented images.

        Args:
            images: RGB images of any size.
            draws: the draws of these images; drawing for many images costs little more than for one.
        """
        cropped = self._crop(images, draws)
        flips = draws.chance("flip", self.run.hflip).tolist()
        flipped = [F.hflip(image) if flip else image for image, flip in zip(cropped, flips, strict=True)]
        if self.auto is not None:
            return self._rand_augment(flipped, draws)
        return self._jitter(flipped, draws) if self.run.color_jitter else flipped

    def _crop(self, images: list[Image.Image], draws: Draws) -> list[Image.Image]:
        size, pad = self.run.image_size, self.run.crop_padding
        if self.run.crop_min_area < 1:
            widths, heights = torch.tensor([image.size for image in images]).unbind(dim=1)
            boxes = crop_boxes(draws, heights, widths, self.run.crop_min_area).tolist()
            return [resample(image, box, size) for image, box in zip(images, boxes, strict=True)]
        whole = [self.whole(image) for image in images]
        if not pad:
            return whole
        corners = (draws.offsets("padding", 2 * pad) - pad).tolist()
        # Pillow fills with black.
        return [p.crop((left, top, left + size, top + size)) for p, (top, left) in zip(whole, corners, strict=True)]

    def _rand_augment(self, images: list[Image.Image], draws: Draws) -> list[Image.Image]:
        changed = []
        for image, index, repeat in zip(images, draws.index.tolist(), draws.repeat.tolist(), strict=True):
            with seed_global_streams(derive(self.run.seed, "auto", draws.epoch, index, repeat)):
                changed.append(self.auto(image))
        return changed

    def _jitter(self, images: list[Image.Image], draws: Draws) -> list[Image.Image]:
        changed = []
        drawn = (numbers.tolist() for numbers in jitter_factors(draws, self.run.color_jitter))
        for image, order, factors in zip(images, *drawn, strict=True):
            for number in order:
                image = CHANGES[number](image, factors[number])
            changed.append(image)
        return changed


def rand_augment(run: Run, mean: tuple[float, ...]) -> Any:
    """Return timm's RandAugment with the same arguments as timm's `create_transform` passes."""
    more = {
        "translate_const": int(run.image_size * 0.45),
        "img_mean": tuple(min(255, round(255 * value)) for value in mean),
        "interpolation": Image.Resampling.BICUBIC,
    }
    auto = rand_augment_transform(run.auto_augment, more)
    for operation in auto.ops:
        if operation.name.startswith("Posterize"):
            operation.aug_fn = posterize_to_black
    return auto


def posterize_to_black(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """Apply timm's posterize; return black for 0 bits, which timm uses at its highest level and Pillow 13 refuses."""
    if bits <= 0:
        return Image.new(image.mode, image.size)
    found: Image.Image = posterize(image, bits)  # type: ignore[no-untyped-call]
    return found


def resample(image: Image.Image, box: list[int], size: int) -> Image.Image:
    """Resize a box (top, left, height, width) of an image to a square of `size`: along the rows, then the columns.

    In a single call, newer versions of Pillow choose the order, which `augment.resample` could not reproduce.
    """
    top, left, height, width = box
    cropped = image.crop((left, top, left + width, top + height))
    return cropped.resize((size, height), Image.Resampling.BICUBIC).resize((size, size), Image.Resampling.BICUBIC)


@contextmanager
def seed_global_streams(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch, which timm's transforms use; restore them at the end."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed also formats a traceback per type of GPU
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


class Decoding:
    """The images of a forward pass, uint8 (n, 3, S, S), and index and reason of each corrupt one."""

    def __init__(self, run: Run, data: Encoded) -> None:
        self.run, self.reader = run, data.reader.random_access()
        self.beat: Callable[[], None] = no_beat
        self.augmentation = Augmentation(run, data.mean)
        # timm's transform, so that accuracy equals that in timm; it resizes to floor(image_size / eval_crop) and crops.
        self.evaluation = create_transform(
            run.image_size, interpolation="bicubic", crop_pct=run.eval_crop, normalize=False
        )

    def __getitem__(self, piece: Piece) -> tuple[torch.Tensor, Corrupt]:
        epoch, samples = piece
        images, corrupt = [], []
        for index in samples[:, 0].tolist():
            image, reason = self._decode(index)
            corrupt += [] if reason is None else [(index, reason)]
            images.append(image)
            self.beat()
        return torch.stack(self._prepare(images, epoch, samples)), corrupt

    def _decode(self, index: int) -> tuple[Image.Image, str | None]:
        return decode(lambda: self.reader[index], self.run.image_size, turn=self.run.exif_transpose)

    def _prepare(self, images: list[Image.Image], epoch: int | None, samples: torch.Tensor) -> list[torch.Tensor]:
        if epoch is None:
            return [self.evaluation(image) for image in images]
        augmented = self.augmentation(images, Draws.from_samples(self.run.seed, epoch, samples))
        return [F.pil_to_tensor(image) for image in augmented]


class FromFiles(Images):
    """Batches of images that are decoded when needed."""

    channels = 3

    def __init__(self, run: Run, data: Encoded, device: torch.device, resources: Resources) -> None:
        super().__init__(run, data, resources.max_corrupt)
        self.mean, self.std, self.device = data.mean, data.std, device
        self.loader = Loader(Decoding(run, data), resources.workers, run.image_size, ahead=2 * run.batch_size)

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        pieces = list(self.pieces(epoch, start, share))
        for samples, (images, labels) in zip(pieces, self._batches(pieces, epoch), strict=True):
            yield augment.erase(self.run, images, Draws.from_samples(self.run.seed, epoch, samples)), labels

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        chosen = share.select(self.parts[part])
        samples = torch.stack([chosen, torch.zeros_like(chosen)], dim=1)
        yield from self._batches(torch.split(samples, self.run.batch_size) if len(samples) else [], None)

    def _batches(self, pieces: Sequence[torch.Tensor], epoch: int | None) -> Iterator[Batch]:
        split = [torch.split(samples, ITEM) for samples in pieces]
        results = self.loader([(epoch, some) for parts in split for some in parts], self.stop_requested)
        for samples, parts in zip(pieces, split, strict=True):
            images = self._join(len(samples), [len(some) for some in parts], results)
            labels = to_device(self.labels[samples[:, 0]], self.device)
            yield augment.normalise(images.to(self.device, non_blocking=True), self.mean, self.std), labels

    def _join(self, count: int, lengths: Sequence[int], results: Iterator[Result]) -> torch.Tensor:
        """Return the next images as one batch, in memory from which a GPU copies without waiting."""
        pin, side = self.device.type == "cuda", self.run.image_size
        images = torch.empty(count, 3, side, side, dtype=torch.uint8, pin_memory=pin)
        for part, (found, corrupt) in zip(torch.split(images, list(lengths)), results, strict=False):
            part.copy_(found)
            for index, reason in corrupt:
                self.replace_corrupt(index, reason)
        return images
