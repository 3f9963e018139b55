"""CIFAR-10 as PNG files, so that timm's scripts and ours read the same files; a subset is possible."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ablate import CIFAR10, Run
from ablate.data.datasets import source
from ablate.data.decode import convert


def write_cifar(place: Path, folder: Path, train: int, test: int) -> None:
    """Write the first N images of each split, as train/CLASS/N.png and validation/CLASS/N.png.

    Args:
        place: path of CIFAR-10, in any known layout.
    """
    module, location = source("cifar10", {"cifar10": str(place)})
    data = module.load(Run.from_dict(CIFAR10.fields), location)
    for name, indices in (("train", data.parts["train"][:train]), ("validation", data.parts["test"][:test])):
        for index in indices:
            path = folder / name / data.classes[data.labels[index]] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            convert(data.reader[int(index)]).save(path)
