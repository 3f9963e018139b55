"""Datasets kept in memory as uint8; tensor code on the training device turns them into batches.

`Resident` is for datasets that are arrays. `Decoded` is for encoded images, which are decoded once, at the size of the
run, into a file in the cache.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from ablate.data import augment
from ablate.data.datasets import Arrays, Encoded, Part
from ablate.data.decode import BEHAVIOUR as DECODE_BEHAVIOUR
from ablate.data.decode import decode
from ablate.data.draws import Draws
from ablate.data.images import WHOLE, Batch, Images, Share, generator, log, to_device
from ablate.data.loader_process import ITEM, Corrupt, no_beat
from ablate.data.loaders import Loader
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import cache

BEHAVIOUR = 1
MEAN, STD = 0.5, 0.5
AHEAD = 512  # images decoded before they are written


class Resident(Images):
    """Images on a canvas of `image_size`, centred or at random offsets."""

    def __init__(self, run: Run, data: Arrays, device: torch.device) -> None:
        super().__init__(run, data)
        self.images = torch.from_numpy(data.images).permute(0, 3, 1, 2).contiguous().to(device)
        self.channels = self.images.shape[1]
        self.free = run.image_size - self.images.shape[-1]
        self.shifted = data.shifted
        self.labels = self.labels.to(device)
        self.device = device

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        copies = int(self.samples(epoch)[:, 1].max()) + 1
        purposes = [("offset", epoch, repeat) if repeat else ("offset", epoch) for repeat in range(copies)]
        offsets = torch.stack([self._offsets(self.run.seed, *purpose) for purpose in purposes])
        for piece in self.pieces(epoch, start, share):
            index, repeat = piece.unbind(dim=1)
            yield self._batch(index, offsets[repeat, index])

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        offsets = self._offsets("evaluation offset")
        for chosen in torch.split(share.select(self.parts[part]), self.run.batch_size):
            yield self._batch(chosen, offsets[chosen])

    def _offsets(self, *purpose: int | str) -> torch.Tensor:
        """Return row and column of the upper left corner of every image, (n, 2)."""
        if not self.shifted:
            return torch.full((len(self.images), 2), self.free // 2)
        return torch.randint(self.free + 1, (len(self.images), 2), generator=generator(*purpose))

    def _batch(self, chosen: torch.Tensor, offsets: torch.Tensor) -> Batch:
        where = to_device(chosen, self.device)
        return self._place(self.images[where], to_device(offsets, self.device)), self.labels[where]

    def _place(self, images: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Place images (B, C, h, w) on black canvases (B, C, S, S), scaled to [-1, 1]."""
        count, channels, height, width = images.shape
        canvas = images.new_zeros(count, self.run.image_size, self.run.image_size, channels)
        rows = offsets[:, 0, None] + torch.arange(height, device=self.device)
        columns = offsets[:, 1, None] + torch.arange(width, device=self.device)
        image = torch.arange(count, device=self.device)[:, None, None]
        canvas[image, rows[:, :, None], columns[:, None, :]] = images.permute(0, 2, 3, 1)
        return (canvas.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


class Decoded(Images):
    """Squares of floor(image_size / eval_crop) pixels, in device memory if they need at most half of its free part."""

    channels = 3

    def __init__(self, run: Run, data: Encoded, device: torch.device, resources: Resources) -> None:
        super().__init__(run, data, resources.max_corrupt)
        self.mean, self.std, self.device = data.mean, data.std, device
        folder = decode_to_cache(run, data, resources.workers)
        for index, reason in orjson.loads((folder / "broken.json").read_bytes()):
            self.replace_corrupt(index, reason)
        # Copy on write, since torch warns about read-only memory; nothing writes to it.
        self.images = torch.from_numpy(np.load(folder / "pictures.npy", mmap_mode="c"))
        if device.type == "cuda" and self.images.nbytes <= torch.cuda.mem_get_info(device)[0] / 2:
            self.images = self.images.to(device)

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        for piece in self.pieces(epoch, start, share):
            draws = Draws.from_samples(self.run.seed, epoch, piece)
            augmented = augment.augment(self.run, self._at(piece[:, 0]), draws)
            yield augment.erase(self.run, self._normalise(augmented), draws), self._labels(piece[:, 0])

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        size = self.run.image_size
        start = margin(self.images.shape[-1], size)
        for chosen in torch.split(share.select(self.parts[part]), self.run.batch_size):
            middle = self._at(chosen)[..., start : start + size, start : start + size]
            yield self._normalise(middle), self._labels(chosen)

    def _at(self, indices: torch.Tensor) -> torch.Tensor:
        if self.images.device.type == "cpu":
            return to_device(self.images[indices], self.device)
        return self.images[to_device(indices, self.device)]

    def _labels(self, indices: torch.Tensor) -> torch.Tensor:
        return to_device(self.labels[indices], self.device)

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        return augment.normalise(images, self.mean, self.std)


def decode_to_cache(run: Run, data: Encoded, workers: int) -> Path:
    """Return the cache folder with all images of a dataset at the size of a run; decode them if it does not exist.

    `pictures.npy` is uint8, (n, 3, R, R); `broken.json` lists index and reason of each corrupt image.
    """
    size, side = run.image_size, math.floor(run.image_size / run.eval_crop)
    count = len(data.labels)

    def fill(folder: Path) -> None:
        log.info("decoding %s images of %s at %d pixels into the cache", f"{count:,}", run.dataset, side)
        squares = _allocate(folder / "pictures.npy", (count, 3, side, side))
        chunks = torch.split(torch.arange(count), ITEM)
        loader = Loader(Squares(run, data, side), workers, side, AHEAD)
        corrupt: Corrupt = []
        for chunk, (decoded, of_chunk) in zip(chunks, loader(chunks), strict=True):
            squares[chunk[0] : chunk[-1] + 1] = decoded.numpy()
            corrupt += of_chunk
        squares.flush()
        (folder / "broken.json").write_bytes(orjson.dumps(corrupt))

    key = cache.key_of(data.fingerprint, side, size, run.exif_transpose, BEHAVIOUR, DECODE_BEHAVIOUR)
    return cache.folder("decoded", key, fill)


def _allocate(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Create an array in a file and allocate its disk space, as writing a mapped page on a full disk kills the process.

    Raises:
        OSError: when the disk is full.
    """
    squares = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if not hasattr(os, "posix_fallocate"):  # macOS
        return squares
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    return squares


class Squares:
    """Images at some indices as squares, uint8 (n, 3, side, side), and index and reason of each corrupt one."""

    def __init__(self, run: Run, data: Encoded, side: int) -> None:
        self.reader, self.side, self.size, self.turn = data.reader, side, run.image_size, run.exif_transpose
        self.beat: Callable[[], None] = no_beat

    def __getitem__(self, indices: torch.Tensor) -> tuple[torch.Tensor, Corrupt]:
        found: list[torch.Tensor] = []
        corrupt: Corrupt = []
        for index in indices.tolist():
            image, reason = self._decode(index)
            if reason is not None:
                corrupt.append((index, reason))
            found.append(F.pil_to_tensor(crop_square(image, self.side, self.size)))
            self.beat()
        return torch.stack(found), corrupt

    def _decode(self, index: int) -> tuple[Image.Image, str | None]:
        return decode(lambda: self.reader[index], self.side, turn=self.turn)


def crop_square(image: Image.Image, side: int, size: int) -> Any:
    """Resize the shorter side to `side`, and crop so that the central `size` pixels are those of timm's centre crop.

    Since halves are rounded to even, the centre of a centre crop may be one pixel off the centre.
    """
    image = F.resize(image, side, InterpolationMode.BICUBIC)
    top, left = (
        min(max(margin(length, size) - margin(side, size), 0), length - side) for length in (image.height, image.width)
    )
    return F.crop(image, top, left, side, side)


def margin(length: int, size: int) -> int:
    """Return where the central `size` pixels of a length begin, rounded as in torchvision."""
    return round((length - size) / 2)
