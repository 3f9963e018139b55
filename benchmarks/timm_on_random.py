"""timm's train.py, unchanged, on one repeated batch of random images: its loop without its loader.

    python benchmarks/timm_on_random.py STEPS DEVICE path/to/train.py [its options]

The models of this suite are registered. `benchmarks/training_rate.py` runs this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import timm.data
import torch

from ablate.zoo.scripts import run


class RandomLoader:
    """A loader that repeats one batch."""

    mixup_enabled = False
    dataset = sampler = batch_sampler = None  # timm's script looks whether they want to know the epoch

    def __init__(self, steps: int, device: str, classes: int, side: int, batch_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(batch_size, 3, side, side, generator=generator).to(device)
        labels = torch.randint(classes, (batch_size,), generator=generator).to(device)
        self.steps, self.batch = steps, (images, labels)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(self.steps):
            yield self.batch


def main(arguments: list[str]) -> None:
    """Replace timm's loader by the random one, and run its script."""
    steps, device, script, *words = arguments

    def loader(_: Any, input_size: tuple[int, int, int], batch_size: int, **__: Any) -> RandomLoader:
        return RandomLoader(int(steps), device, 1000, input_size[-1], batch_size)

    timm.data.create_dataset = lambda *_, **__: []
    timm.data.create_loader = loader
    run([script, *words])


if __name__ == "__main__":
    main(sys.argv[1:])
