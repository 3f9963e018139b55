"""ImageNet-1k: 1,281,167 images to train on and the 50,000 of the validation part to test on, in 1,000 classes.

A folder a class (its wnid) in train/ and val/, or Parquet files.
"""

from __future__ import annotations

from ablate.data.datasets._directory import Directory

BEHAVIOUR = 1  # raise it too when what comes from _directory.py or a layout is mended
CHANNELS = 3
CLASSES = 1000
LOCATED = True

DIRECTORY = Directory(classes=CLASSES, usual=(1_281_167, 50_000), folders=r"n\d{8}", example="n01440764")
fingerprint, check, load = DIRECTORY.fingerprint, DIRECTORY.check, DIRECTORY.load
