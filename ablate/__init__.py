"""ablate: controlled ablation studies of vision transformers, from training to statistics and reports.

Names are imported on first use, so that `import ablate` imports neither torch nor pandas. It does not import `typing`
either: `python -m ablate` has the current folder on its path until `startup.py` removes it, and may find another there.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ATTENTION_ONLY": "spec.recipes",
    "CIFAR": "spec.recipes",
    "CIFAR10": "study.scales",
    "Claim": "study.claims",
    "DEIT": "spec.recipes",
    "DIGITS": "study.scales",
    "FEED_FORWARD": "spec.recipes",
    "IMAGENET": "study.scales",
    "Launched": "api.launches",
    "PAIRS": "study.scales",
    "Resources": "spec.resources",
    "Run": "spec.run",
    "SIMPLE": "spec.recipes",
    "SIZES": "spec.recipes",
    "Scale": "study.study",
    "SpecError": "spec.errors",
    "Study": "study.study",
    "bench": "api.models",
    "clean": "api.files",
    "curves": "report.notebook",
    "dataset": "api.files",
    "datasets": "api.files",
    "differences": "spec.run",
    "evaluate": "zoo.evaluation",
    "exponent": "study.claims",
    "frame": "results.table",
    "judge": "results.verdict",
    "load": "study.load",
    "loss": "study.claims",
    "macs": "study.claims",
    "merge": "api.files",
    "params": "study.claims",
    "plan": "api.launches",
    "plot": "report.notebook",
    "run": "api.launches",
    "status": "api.launches",
    "summarise": "results.table",
    "table": "api.reports",
    "throughput": "study.claims",
    "top1": "study.claims",
    "top5": "study.claims",
    "use": "spec.plugins",
    "verify": "api.reports",
    "write_report": "api.reports",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(import_module(f"ablate.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
