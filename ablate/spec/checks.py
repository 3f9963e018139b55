"""Fields that carry their meaning and a check of their value: how `Run` and `Resources` declare theirs.

A check returns None for a valid value, and what the value must be for any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown

Check = Callable[[Any], str | None]

_TYPES: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text, in quotes",
    dict: "a table of NAME = VALUE",
}
LARGEST = 2**63  # JSON's integers, as orjson writes them, have 64 bits


def anything(_: Any) -> str | None:
    """Accept every value of the field's type."""
    return None


def positive(value: float) -> str | None:
    """Require a number above 0."""
    return None if value > 0 else "positive"


def positive_to(largest: int) -> Check:
    """Require a number above 0, up to a limit that only a mistake exceeds."""
    return lambda value: positive(value) or (None if value <= largest else f"at most {largest:,}")


def at_least(smallest: int, largest: int = LARGEST) -> Check:
    """Require a number from `smallest` on, up to a limit that only a mistake exceeds."""

    def check(value: float) -> str | None:
        if value < smallest:
            return f"{smallest} or more"
        return None if value <= largest else f"at most {largest:,}"

    return check


not_negative = at_least(0)


def fraction(value: float) -> str | None:
    """Require a number in [0, 1)."""
    return None if 0 <= value < 1 else "at least 0 and below 1"


def probability(value: float) -> str | None:
    """Require a number in [0, 1]."""
    return None if 0 <= value <= 1 else "between 0 and 1"


def share(value: float) -> str | None:
    """Require a number in (0, 1]."""
    return None if 0 < value <= 1 else "above 0 and at most 1"


def one_of(*known: str) -> Check:
    """Require one of some names."""
    return lambda value: None if value in known else "one of " + ", ".join(known)


def dataset_name(value: str) -> str | None:
    """Require a valid folder name."""
    if value == "speed":  # results/speed/ holds speed records
        return "another name, since results/speed is reserved"
    if len(value) > 100:
        return "at most 100 letters"
    return None if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value) else "letters, digits, '_', '.' and '-'"


def device_name(value: str) -> str | None:
    """Require auto or the name of a torch device; whether a machine has it is checked there."""
    known = re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:(0|[1-9]\d{0,2}))?", value)
    return None if known else "auto, cpu, cuda, cuda:N, mps, xpu or xpu:N"


def memory_size(value: str) -> str | None:
    """Require a size with its unit, nothing, or 0, which is all memory of a node. Slurm would take 32 as megabytes."""
    known = re.fullmatch(r"(0|[1-9]\d*[KMGT]B?)?", value, re.IGNORECASE | re.ASCII)
    return None if known else "a whole number with a unit, such as 32G or 500M"


def one_line(value: str) -> str | None:
    """Require printable text."""
    return None if value.isprintable() else "printable text on one line"


def auto_augment(value: str) -> str | None:
    """Require no automatic augmentation, or RandAugment in timm's notation."""
    expected = "'' or RandAugment in timm's notation, such as 'rand-m9-mstd0.5-inc1'"
    return None if re.fullmatch(r"(rand(-[a-z]+[0-9.]+)+)?", value) else expected


def checked(default: Any, meaning: str, check: Check = anything) -> Any:
    """Declare a dataclass field with its meaning, which help and reports show, and a check of its value."""
    return field(default=default, metadata={"meaning": meaning, "check": check})


def validate(item: Field[Any], value: Any) -> Any:
    """Return a value converted to the type of its field's default.

    Raises:
        SpecError: when the conversion would lose something, or the field's check refuses the value.
    """
    kind = dict if item.default is MISSING else type(item.default)
    value = _convert(item.name, value, kind)
    if expected := item.metadata["check"](value):
        raise SpecError(f"{item.name} must be {expected}, got {shown(value)}")
    return value


def _convert(name: str, value: Any, kind: type[Any]) -> Any:
    """Convert a value without loss; numpy scalars count as numbers."""
    value = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    if kind not in (int, float):
        if isinstance(value, Mapping if kind is dict else kind):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < LARGEST:
            raise SpecError(f"{name} must be a finite number below 2**63, got {shown(value)}")
        if kind(value) == value:
            return kind(value) + kind(0)  # -0.0 equals 0.0 and must have its key
    raise SpecError(f"{name} must be {_TYPES[kind]}, got {shown(value)}")
