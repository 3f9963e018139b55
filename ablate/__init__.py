"""ablate: which part of a vision model earns its keep? Controlled variants, trained, compared, reported.

Names are imported on first use, so that `import ablate` waits for neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ATTENTION_ONLY": "recipes",
    "CIFAR": "recipes",
    "CIFAR10": "recipes",
    "Claim": "claim",
    "DEIT": "recipes",
    "DIGITS": "recipes",
    "FEED_FORWARD": "recipes",
    "IMAGENET": "recipes",
    "PAIRS": "recipes",
    "Resources": "resources",
    "Run": "spec",
    "SIMPLE": "recipes",
    "SIZES": "recipes",
    "Scale": "study",
    "SpecError": "registry",
    "Study": "study",
    "curves": "notebook",
    "differences": "spec",
    "exponent": "claim",
    "frame": "table",
    "judge": "verdict",
    "load": "study",
    "loss": "claim",
    "macs": "claim",
    "params": "claim",
    "plot": "notebook",
    "summarise": "table",
    "throughput": "claim",
    "top1": "claim",
    "top5": "claim",
    "use": "extend",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(import_module(f"ablate.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
