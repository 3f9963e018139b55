"""What the commands do, as functions for notebooks and scripts: they return frames and results, and print nothing.

A study is a `Study`, the name of one, or the path of its file. `root` is the folder with `results/`, `runs/` and
`reports/`; None is ABLATE_ROOT, else the current folder. A mistake in the request raises a `SpecError`.
The functions work in any thread. They import torch and matplotlib when they need them.
"""

from ablate.api.files import clean, dataset, datasets, merge
from ablate.api.launches import Launched, plan, run, status
from ablate.api.models import bench, evaluate
from ablate.api.reports import table, verify, write_report

__all__ = [
    "Launched",
    "bench",
    "clean",
    "dataset",
    "datasets",
    "evaluate",
    "merge",
    "plan",
    "run",
    "status",
    "table",
    "verify",
    "write_report",
]
