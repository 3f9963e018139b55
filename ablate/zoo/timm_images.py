"""Batches of a part of a dataset, each image once, with the preprocessing of a timm model.

Size, crop, interpolation, mean and standard deviation come from timm's `resolve_model_data_config`, and the transform
is timm's, so that pixels equal those of timm's loader.
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
        data: the dataset.
        part: part of the dataset.
        model: a timm model.
        image_size: side in pixels, instead of that of the model.
        eval_crop: centre crop as a fraction of the resized side, instead of that of the model.
    """

    def __init__(
        self, data: Data, part: Part, model: nn.Module, *, image_size: int | None = None, eval_crop: float | None = None
    ) -> None:
        overrides = {"img_size": image_size, "crop_pct": eval_crop}
        self.config: dict[str, Any] = resolve_model_data_config(model, overrides, use_test_size=True)  # type: ignore[no-untyped-call]
        self.images = _Preprocessed(data, data.parts[part], self.config)
        self.corrupt: set[int] = set()

    def batches(self, size: int, workers: int, device: torch.device) -> Iterator[Batch]:
        """Yield all batches in the order of the part; add the positions of corrupt images to `corrupt`."""
        pin = device.type == "cuda"
        loader = DataLoader(self.images, batch_size=size, num_workers=workers, pin_memory=pin)
        for at, (images, labels, whole) in enumerate(loader):
            self.corrupt.update((at * size + torch.nonzero(~whole).flatten()).tolist())
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


class _Preprocessed(Dataset[tuple[torch.Tensor, int, bool]]):
    """The images at some indices, each with its label and whether it could be decoded."""

    def __init__(self, data: Data, indices: np.ndarray, config: dict[str, Any]) -> None:
        if isinstance(data, Arrays) and data.shifted:
            raise SpecError(
                "digits_shifted has random offsets, which timm's transform cannot apply; use digits or a folder"
            )
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
        self.mode = "L" if config["input_size"][0] == 1 else "RGB"  # as in timm's validate.py

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int, bool]:
        index = self.indices[position]
        image, problem = decode(lambda: self._open(index), self.side, self.mode)
        return self.transform(image), int(self.data.labels[index]), problem is None

    def _open(self, index: int) -> Image.Image:
        if isinstance(self.data, Arrays):
            array = self.data.images[index]
            return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
        return self.data.reader[index]
