"""What `import ablate` offers. A name may be added here; to take one away breaks somebody's study."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import ablate

PUBLIC = [
    "ATTENTION_ONLY",
    "FEED_FORWARD",
    "SIZES",
    "CIFAR",
    "CIFAR10",
    "Claim",
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
    "DEIT",
    "DIGITS",
    "IMAGENET",
    "PAIRS",
    "Resources",
    "Run",
    "SIMPLE",
    "Scale",
    "SpecError",
    "Study",
    "__version__",
    "curves",
    "differences",
    "exponent",
    "frame",
    "judge",
    "load",
    "loss",
    "macs",
    "params",
    "plot",
    "summarise",
    "throughput",
    "top1",
    "top5",
    "use",
]


def test_the_public_names_are_pinned() -> None:
    assert sorted(ablate.__all__) == sorted(PUBLIC)
    assert sorted(dir(ablate)) == sorted(PUBLIC)


def test_every_name_is_there() -> None:
    for name in set(PUBLIC) - {"__version__"}:
        assert getattr(ablate, name) is getattr(import_module(f"ablate.{ablate._PUBLIC[name]}"), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ablate' has no attribute 'Stduy'"):
        ablate.Stduy  # noqa: B018


def test_the_package_is_typed() -> None:
    assert (Path(ablate.__file__).parent / "py.typed").exists()
