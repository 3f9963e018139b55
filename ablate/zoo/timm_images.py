"""A part of a dataset, each image once, prepared as a model of timm's wants it.

Sizes, crop, interpolation, mean and deviation are the model's own, by timm's `resolve_model_data_config`, and the
transform is timm's: the same pixels as from timm's own loader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ablate.data.datasets import Arrays, Data, Part
from ablate.data.decode import decode
from ablate.data.images import Batch
from ablate.spec.errors import SpecError


class TimmImages:
    """Batches of float32 images (B, C, S, S) and int64 labels (B,) for a model.

    Args:
        model: one that timm made.
        image_size: another side than the model's own, pixels.
        eval_crop: another centre crop than the model's own, as a fraction of the resized side.
    """

    def __init__(
        self, data: Data, part: Part, model: nn.Module, *, image_size: int | None = None, eval_crop: float | None = None
    ) -> None:
        asked = {"img_size": image_size, "crop_pct": eval_crop}
        self.config: dict[str, Any] = resolve_model_data_config(model, asked, use_test_size=True)  # type: ignore[no-untyped-call]
        self.images = _Prepared(data, data.parts[part], self.config)
        self.corrupt: set[int] = set()

    def batches(self, size: int, workers: int, device: torch.device) -> Iterator[Batch]:
        """All of them, in the part's order; positions of images that cannot be decode are put into `broken`."""
        pin = device.type == "cuda"
        loader = DataLoader(self.images, batch_size=size, num_workers=workers, pin_memory=pin)
        for at, (images, labels, whole) in enumerate(loader):
            self.corrupt.update((at * size + torch.nonzero(~whole).flatten()).tolist())
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


class _Prepared(Dataset[tuple[torch.Tensor, int, bool]]):
    """The images at some indices, each with its label and whether it could be decode."""

    def __init__(self, data: Data, indices: np.ndarray, config: dict[str, Any]) -> None:
        if isinstance(data, Arrays) and data.shifted:
            raise SpecError("the digits of digits_shifted lie at random offsets; wanted is dataset digits, or a folder")
        self.data, self.indices = data, indices.tolist()
        self.transform = create_transform(
            config["input_size"],
            is_training=False,
            mean=config["mean"],
            std=config["std"],
            interpolation=config["interpolation"],
            crop_pct=config["crop_pct"],
            crop_mode=config["crop_mode"],
        )
        self.side = config["input_size"][-1]
        self.grey = config["input_size"][0] == 1

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int, bool]:
        index = self.indices[position]
        image, problem = decode(lambda: self._open(index), self.side)
        prepared = self.transform(image.convert("L") if self.grey else image)
        return prepared, int(self.data.labels[index]), problem is None

    def _open(self, index: int) -> Image.Image:
        if isinstance(self.data, Arrays):
            array = self.data.images[index]
            return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
        return self.data.reader[index]
