"""Images/s of JPEG decoding and a random resized crop at 224 pixels with a flip: our loader against timm's.

    python benchmarks/input_pipeline.py --data FOLDER              # FOLDER/train/CLASS/*.jpg
    python benchmarks/input_pipeline.py --data FOLDER --workers 0 4 8 16

Both read the same files in a random order and give batches on the CPU. A window is an epoch less its first batches,
which wait for the loader's processes to start; the two take turns, and the first epoch of each, which fills the file
cache, is not counted. Images per second of the processor's time, with no loader process, are what one core does, also
on a machine that is busy otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _measuring import Rate, conditions, table

# isort: split
import torch
from timm.data import create_dataset, create_loader

from ablate import Run
from ablate.data.open import open_images
from ablate.spec.resources import Resources

CPU = torch.device("cpu")
AHEAD = 2  # batches that PyTorch has each loader process work ahead
Epoch = Callable[[int], Iterable[tuple[torch.Tensor, torch.Tensor]]]


def ours(run: Run, folder: Path, workers: int) -> Epoch:
    """Return a function that yields an epoch's batches."""
    images, _ = open_images(run, Resources(workers=workers, data={run.dataset: str(folder)}), CPU)
    return images.training


def timms(run: Run, folder: Path, workers: int) -> Epoch:
    """Return the same for timm's loader, with the same crop and flip only."""
    loader = create_loader(
        create_dataset("", root=str(folder), split="train"),
        input_size=(3, run.image_size, run.image_size),
        batch_size=run.batch_size,
        is_training=True,
        use_prefetcher=False,
        scale=(run.crop_min_area, 1.0),
        hflip=run.hflip,
        color_jitter=None,
        interpolation="bicubic",
        num_workers=workers,
        persistent_workers=False,
        device=CPU,
    )
    return lambda _: loader


@dataclass
class Seen:
    """Images per second of one loader, an epoch a window: by the clock, and by the processor's time of this process."""

    by_clock: list[float] = field(default_factory=list)
    by_processor: list[float] = field(default_factory=list)

    def add(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], skip: int) -> None:
        """Read an epoch; its first batches are not counted."""
        coming = iter(batches)
        for _ in range(skip):
            next(coming)
        clock, processor = time.perf_counter(), time.process_time()
        count = sum(len(labels) for _, labels in coming)
        self.by_clock.append(count / (time.perf_counter() - clock))
        self.by_processor.append(count / (time.process_time() - processor))


def measured(sources: Sequence[Epoch], epochs: int, skip: int) -> list[Seen]:
    """Each loader's epochs, in turns; the first of each is not counted."""
    found = [Seen() for _ in sources]
    for epoch in range(epochs + 1):
        for seen, epoch_of in zip(found, sources, strict=True):
            (Seen() if epoch == 0 else seen).add(epoch_of(epoch), skip)
    return found


def rows(chosen: argparse.Namespace, run: Run) -> Iterator[tuple[str, ...]]:
    """Yield one row per number of loader processes."""
    for workers in chosen.workers:
        skip = 1 + AHEAD * workers
        seen = measured([loader(run, chosen.data, workers) for loader in (ours, timms)], chosen.epochs, skip)
        yield _row(f"{workers}, images/s", [Rate(one.by_clock) for one in seen])
        if workers == 0:
            yield _row("0, images per processor second", [Rate(one.by_processor) for one in seen])


def _row(what: str, found: list[Rate]) -> tuple[str, ...]:
    mine, theirs = found
    return what, str(mine), str(theirs), f"{mine.median / theirs.median:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/CLASS/*.jpg and val/")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="loader processes")
    parser.add_argument("--epochs", type=int, default=3, help="windows")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the process that reads the batches")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    fields = {"dataset": "pictures", "loader": "workers", "crop_min_area": 0.08, "hflip": 0.5, "epochs": 100}
    run = Run.from_dict({**fields, "image_size": chosen.side, "batch_size": chosen.batch_size})
    print(conditions(CPU, f"{chosen.side} pixels, batch {chosen.batch_size}; median (lowest–highest, n epochs)"))
    head = ("loader processes", "ablate", "timm's loader", "ratio")
    table(head, rows(chosen, run))


if __name__ == "__main__":
    main()
