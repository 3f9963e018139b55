"""Measurements of speed: one JSON for each model, mode and batch size, in `results/speed/DEVICE/`, and frames of them.

`record.py` reads and writes them, `frames.py` makes them a study's. DEVICE is the device's name with its CPU threads
and torch's version, since a ranking can flip with each of them. A measurement is joined to runs by architecture
(`Run.architecture`): speed does not depend on data, recipe or seed.
"""

from ablate.speed.frames import Measured, chosen, frame, headline, join, measured, of_study, tidy
from ablate.speed.record import (
    DRIFT,
    FOLDER,
    MEASURED,
    OUT_OF_MEMORY,
    WORK_OF,
    Measurement,
    device_folder,
    percentiles,
    read,
    read_all,
    write,
)

__all__ = [
    "DRIFT",
    "FOLDER",
    "MEASURED",
    "OUT_OF_MEMORY",
    "WORK_OF",
    "Measured",
    "Measurement",
    "chosen",
    "device_folder",
    "frame",
    "headline",
    "join",
    "measured",
    "of_study",
    "percentiles",
    "read",
    "read_all",
    "tidy",
    "write",
]
