"""What the commands do, as functions for notebooks and scripts: they return frames and results, and print nothing.

A study is a `Study`, the name of one, or the path of its file. `root` is the folder with `results/`, `runs/` and
`reports/`; None is ABLATE_ROOT, else the current folder. A mistake in the request raises a `SpecError`.
The functions work in any thread. They import torch and matplotlib when they need them.
"""

from typing import TYPE_CHECKING, Any

from ablate.api.files import clean, dataset, datasets, merge
from ablate.api.launches import Launched, plan, run, status
from ablate.api.models import bench
from ablate.api.reports import table, verify, write_report

if TYPE_CHECKING:
    from ablate.zoo.evaluation import evaluate

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


def __getattr__(name: str) -> Any:
    if name != "evaluate":
        raise AttributeError(f"module 'ablate.api' has no attribute {name!r}")
    from ablate.zoo.evaluation import evaluate  # here, since it imports torch

    return evaluate
