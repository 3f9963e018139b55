"""Pictures in files, decoded and augmented when needed, in loader processes if there are any.

The transforms are torchvision's; what is drawn for a picture depends on (seed, epoch, index) alone, so the number of
loader processes changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from ablate.datasets import Files, Part
from ablate.images import WHOLE, Batch, Images, Share
from ablate.resources import Resources
from ablate.seeds import derive
from ablate.spec import Run

BEHAVIOUR = 1
BICUBIC = v2.InterpolationMode.BICUBIC


class _Pictures(Dataset[tuple[torch.Tensor, int]]):
    """The pictures at some indices; with an epoch they are augmented, without one prepared for evaluation."""

    def __init__(self, run: Run, data: Files, indices: torch.Tensor, epoch: int | None) -> None:
        self.run, self.data, self.indices, self.epoch = run, data, indices.tolist(), epoch
        self.transform = evaluation_transform(run) if epoch is None else training_transform(run)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        index = self.indices[position]
        with Image.open(self.data.paths[index]) as file:
            picture = file.convert("RGB")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.run.seed, "picture", self.epoch or 0, index))
            return self.transform(picture), int(self.data.labels[index])


def training_transform(run: Run) -> v2.Compose:
    """Random resized crop and flip; where `crop_min_area` is 1 there is no random crop, but the centre."""
    flip = v2.RandomHorizontalFlip(run.hflip)
    if run.crop_min_area == 1:
        return v2.Compose([*_centre(run.image_size, run.image_size), flip, *_to_tensor()])
    crop = v2.RandomResizedCrop(run.image_size, (run.crop_min_area, 1.0), interpolation=BICUBIC)
    return v2.Compose([crop, flip, *_to_tensor()])


def evaluation_transform(run: Run) -> v2.Compose:
    """The shorter side to image_size / eval_crop, then the centre."""
    return v2.Compose([*_centre(round(run.image_size / run.eval_crop), run.image_size), *_to_tensor()])


def _centre(resized: int, size: int) -> list[v2.Transform]:
    """The shorter side to `resized`, then the square of `size` in the middle."""
    return [v2.Resize(resized, interpolation=BICUBIC), v2.CenterCrop(size)]


def _to_tensor() -> list[v2.Transform]:
    normalise = v2.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalise]


class FromFiles(Images):
    """Batches decoded from files."""

    channels = 3

    def __init__(self, run: Run, data: Files, device: torch.device, resources: Resources) -> None:
        super().__init__(run, data)
        self.data, self.device, self.workers = data, device, resources.workers

    def training(self, epoch: int, start: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        yield from self._batches([piece[:, 0] for piece in self.pieces(epoch, start, share)], epoch)

    def evaluation(self, part: Part, share: Share = WHOLE) -> Iterator[Batch]:
        yield from self._batches(torch.split(share.of(self.parts[part]), self.run.batch_size), None)

    def _batches(self, batches: Sequence[torch.Tensor], epoch: int | None) -> Iterator[Batch]:
        pictures = _Pictures(self.run, self.data, torch.cat(list(batches)), epoch)
        positions = torch.split(torch.arange(len(pictures)), [len(batch) for batch in batches])
        chosen = [of_batch.tolist() for of_batch in positions]
        pin = self.device.type == "cuda"
        for images, labels in DataLoader(pictures, batch_sampler=chosen, num_workers=self.workers, pin_memory=pin):
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
