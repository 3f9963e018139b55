"""Pictures kept in memory as uint8 and turned into batches by tensor code on the training device.

`Resident` has data sets that come as arrays; `Decoded` has encoded pictures, decoded once at the run's size into a
file of the cache.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

from ablate.data import augment
from ablate.data import decode as pictures
from ablate.data.datasets import Arrays, Encoded, Part
from ablate.data.draws import Draws
from ablate.data.images import WHOLE, Batch, Images, Share, generator, log, sent
from ablate.data.workers import Broken, Loader
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store import cache

BEHAVIOUR = 1
MEAN, STD = 0.5, 0.5
CHUNK = 256  # pictures decoded at once


class Resident(Images):
    """Pictures placed on a canvas of `image_size`, in the middle or at an offset."""

    def __init__(self, run: Run, data: Arrays, device: torch.device) -> None:
        super().__init__(run, data)
        self.pictures = torch.from_numpy(data.images).permute(0, 3, 1, 2).contiguous().to(device)
        self.channels = self.pictures.shape[1]
        self.room = run.image_size - self.pictures.shape[-1]
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
        for chosen in torch.split(share.of(self.parts[part]), self.run.batch_size):
            yield self._batch(chosen, offsets[chosen])

    def _offsets(self, *purpose: int | str) -> torch.Tensor:
        """Row and column of every picture's upper left corner, (n, 2)."""
        if not self.shifted:
            return torch.full((len(self.pictures), 2), self.room // 2)
        return torch.randint(self.room + 1, (len(self.pictures), 2), generator=generator(*purpose))

    def _batch(self, chosen: torch.Tensor, offsets: torch.Tensor) -> Batch:
        where = sent(chosen, self.device)
        return self._place(self.pictures[where], sent(offsets, self.device)), self.labels[where]

    def _place(self, pictures: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Pictures (B, C, h, w) on black canvases (B, C, S, S), scaled to [-1, 1]."""
        count, channels, height, width = pictures.shape
        canvas = pictures.new_zeros(count, self.run.image_size, self.run.image_size, channels)
        rows = offsets[:, 0, None] + torch.arange(height, device=self.device)
        columns = offsets[:, 1, None] + torch.arange(width, device=self.device)
        image = torch.arange(count, device=self.device)[:, None, None]
        canvas[image, rows[:, :, None], columns[:, None, :]] = pictures.permute(0, 2, 3, 1)
        return (canvas.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


class Decoded(Images):
    """Squares of floor(image_size / eval_crop), in device memory where they take no more than half of what is free."""

    channels = 3

    def __init__(self, run: Run, data: Encoded, device: torch.device, resources: Resources) -> None:
        super().__init__(run, data, resources.max_corrupt)
        self.mean, self.std, self.device = data.mean, data.std, device
        folder = kept(run, data, resources.workers)
        for index, reason in orjson.loads((folder / "broken.json").read_bytes()):
            self.replaced(index, reason)
        # Copy on write: torch warns of memory it must not write to, and nothing writes to it.
        self.pictures = torch.from_numpy(np.load(folder / "pictures.npy", mmap_mode="c"))
        if device.type == "cuda" and self.pictures.nbytes <= torch.cuda.mem_get_info(device)[0] / 2:
            self.pictures = self.pictures.to(device)

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        for piece in self.pieces(epoch, start, share):
            draws = Draws.of(self.run.seed, epoch, piece)
            augmented = augment.augmented(self.run, self._at(piece[:, 0]), draws)
            yield augment.erased(self.run, self._normalised(augmented), draws), self._labels(piece[:, 0])

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        size = self.run.image_size
        start = margin(self.pictures.shape[-1], size)
        for chosen in torch.split(share.of(self.parts[part]), self.run.batch_size):
            middle = self._at(chosen)[..., start : start + size, start : start + size]
            yield self._normalised(middle), self._labels(chosen)

    def _at(self, indices: torch.Tensor) -> torch.Tensor:
        if self.pictures.device.type == "cpu":
            return sent(self.pictures[indices], self.device)
        return self.pictures[sent(indices, self.device)]

    def _labels(self, indices: torch.Tensor) -> torch.Tensor:
        return sent(self.labels[indices], self.device)

    def _normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        return augment.normalised(pictures, self.mean, self.std)


def kept(run: Run, data: Encoded, workers: int) -> Path:
    """The folder of the cache with all pictures of a data set at a run's size, decoded now where it is not there.

    `pictures.npy` is uint8, (n, 3, R, R); `broken.json` has index and reason of those that could not be decoded.
    """
    size, side = run.image_size, math.floor(run.image_size / run.eval_crop)
    count = len(data.labels)

    def make(folder: Path) -> None:
        log.info("decoding %s pictures of %s at %d pixels into the cache", f"{count:,}", run.dataset, side)
        squares = _reserved(folder / "pictures.npy", (count, 3, side, side))
        chunks = torch.split(torch.arange(count), CHUNK)
        loader = Loader(Squares(data, side, size), workers, torch.device("cpu"))
        broken: Broken = []
        for chunk, (decoded, of_chunk) in zip(chunks, loader(chunks), strict=True):
            squares[chunk[0] : chunk[-1] + 1] = decoded.numpy()
            broken += of_chunk
        squares.flush()
        (folder / "broken.json").write_bytes(orjson.dumps(broken))

    return cache.folder("decoded", cache.key_of(data.fingerprint, side, size, BEHAVIOUR, pictures.BEHAVIOUR), make)


def _reserved(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A new array in a file whose place on the disk is taken: a mapped page that finds none kills the process.

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


class Squares(Dataset[tuple[torch.Tensor, Broken]]):
    """Pictures at some indices as squares of `side`, uint8 (n, 3, side, side), and which of them are broken and why."""

    def __init__(self, data: Encoded, side: int, size: int) -> None:
        self.reader, self.side, self.size = data.reader, side, size

    def __getitem__(self, indices: torch.Tensor) -> tuple[torch.Tensor, Broken]:
        found: list[torch.Tensor] = []
        broken: Broken = []
        for index in indices.tolist():
            picture, reason = pictures.decoded(lambda: self.reader[index], self.side)  # noqa: B023 - called at once
            if reason is not None:
                broken.append((index, reason))
            found.append(F.pil_to_tensor(square(picture, self.side, self.size)))
        return torch.stack(found), broken


def square(picture: Image.Image, side: int, size: int) -> Any:
    """The shorter side brought to `side`, and of the longer one so much that the middle `size` are those timm takes.

    Halves are rounded to even, so the middle of a middle may lie one pixel beside the middle.
    """
    picture = F.resize(picture, side, InterpolationMode.BICUBIC)
    top, left = (
        min(max(margin(length, size) - margin(side, size), 0), length - side)
        for length in (picture.height, picture.width)
    )
    return F.crop(picture, top, left, side, side)


def margin(length: int, size: int) -> int:
    """Where the middle `size` of a length begin, as torchvision rounds it."""
    return round((length - size) / 2)
