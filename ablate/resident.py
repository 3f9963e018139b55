"""Small data sets, kept in memory as uint8 and turned into batches by tensor code on the training device."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ablate.datasets import Arrays, Part
from ablate.images import WHOLE, Batch, Images, Share, generator
from ablate.spec import Run

BEHAVIOUR = 1
MEAN, STD = 0.5, 0.5


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
        offsets = self._offsets(self.run.seed, "offset", epoch)
        for piece in self.pieces(epoch, start, share):
            yield self._batch(piece[:, 0], offsets)

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        offsets = self._offsets("evaluation offset")
        for chosen in torch.split(share.of(self.parts[part]), self.run.batch_size):
            yield self._batch(chosen, offsets)

    def _offsets(self, *purpose: int | str) -> torch.Tensor:
        """Row and column of every picture's upper left corner, (n, 2)."""
        if not self.shifted:
            return torch.full((len(self.pictures), 2), self.room // 2)
        return torch.randint(self.room + 1, (len(self.pictures), 2), generator=generator(*purpose))

    def _batch(self, chosen: torch.Tensor, offsets: torch.Tensor) -> Batch:
        where = chosen.to(self.device)
        return self._place(self.pictures[where], offsets[chosen].to(self.device)), self.labels[where]

    def _place(self, pictures: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Pictures (B, C, h, w) on black canvases (B, C, S, S), scaled to [-1, 1]."""
        count, channels, height, width = pictures.shape
        canvas = pictures.new_zeros(count, self.run.image_size, self.run.image_size, channels)
        rows = offsets[:, 0, None] + torch.arange(height, device=self.device)
        columns = offsets[:, 1, None] + torch.arange(width, device=self.device)
        image = torch.arange(count, device=self.device)[:, None, None]
        canvas[image, rows[:, :, None], columns[:, None, :]] = pictures.permute(0, 2, 3, 1)
        return (canvas.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
