"""ImageNet-1k: 1,281,167 training images and the 50,000 validation images as test part, in 1,000 classes.

The data may be one folder per class (named by its wnid) in train/ and val/, or Parquet files.
"""

from __future__ import annotations

from ablate.data.datasets._directory import Directory

BEHAVIOUR = 2  # raise it too when results of _directory.py or of a layout change; 2: pixels as in timm
CHANNELS = 3
CLASSES = 1000
LOCATED = True

DIRECTORY = Directory(classes=CLASSES, usual=(1_281_167, 50_000), folders=r"n\d{8}", example="n01440764")
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
