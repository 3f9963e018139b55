"""CIFAR-100: 50,000 images of 32×32 to train on and 10,000 to test on, in 100 classes.

Torchvision's own local copy, Parquet files, or a folder a class; the fingerprint tells them apart.
"""

from __future__ import annotations

from ablate.data.datasets import _folder, _parquet
from ablate.data.datasets._directory import Directory
from ablate.data.datasets._timm import Timm

BEHAVIOUR = 1  # raise it too when what comes from _directory.py or a layout is mended
CHANNELS = 3
CLASSES = 100
LOADER = "resident"
LOCATED = True
IMAGES = 60_000

ORIGINAL = Timm("torch/cifar100", "cifar-100-python")
DIRECTORY = Directory((ORIGINAL, _parquet, _folder), CLASSES, usual=(50_000, 10_000))
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
