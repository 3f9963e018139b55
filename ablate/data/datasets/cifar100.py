"""CIFAR-100: 50,000 training and 10,000 test images of 32×32 pixels, in 100 classes.

The data may be torchvision's local copy, Parquet files, or one folder per class; their fingerprints differ.
"""

from __future__ import annotations

from ablate.data.datasets import _folder, _parquet
from ablate.data.datasets._directory import Directory
from ablate.data.datasets._timm import Timm

BEHAVIOUR = 1  # raise it too when results of _directory.py or of a layout change
CHANNELS = 3
CLASSES = 100
LOADER = "resident"
LOCATED = True
IMAGES = 60_000

ORIGINAL = Timm("torch/cifar100", "cifar-100-python")
DIRECTORY = Directory((ORIGINAL, _parquet, _folder), CLASSES, usual=(50_000, 10_000))
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
