"""CIFAR-10's pictures as PNG files, so that timm's scripts and ours read the same, and a few can be taken."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ablate import CIFAR10, Run
from ablate.data.datasets import source
from ablate.data.decode import to_rgb


def write_cifar(place: Path, folder: Path, train: int, test: int) -> None:
    """The first so many pictures of each part, as train/CLASS/N.png and validation/CLASS/N.png.

    Args:
        place: where CIFAR-10 lies, in any layout that the suite knows.
    """
    module, location = source("cifar10", {"cifar10": str(place)})
    data = module.load(Run.from_dict(CIFAR10.fields), location)
    for name, indices in (("train", data.parts["train"][:train]), ("validation", data.parts["test"][:test])):
        for index in indices:
            path = folder / name / data.classes[data.labels[index]] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            to_rgb(data.reader[int(index)]).save(path)
