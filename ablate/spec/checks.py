"""What a field's value must be: each check gives None for a good value, and what is wanted for any other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], str | None]


def anything(_: Any) -> str | None:
    """Nothing beyond the field's type."""
    return None


def positive(value: float) -> str | None:
    """Above 0."""
    return None if value > 0 else f"a {'whole ' if isinstance(value, int) else ''}number above 0"


def not_negative(value: float) -> str | None:
    """0 or more."""
    return None if value >= 0 else "0 or more"


def fraction(value: float) -> str | None:
    """From 0 to below 1."""
    return None if 0 <= value < 1 else "at least 0 and below 1"


def probability(value: float) -> str | None:
    """From 0 to 1."""
    return None if 0 <= value <= 1 else "between 0 and 1"


def share(value: float) -> str | None:
    """Above 0, to 1."""
    return None if 0 < value <= 1 else "above 0 and at most 1"


def dataset_name(value: str) -> str | None:
    """A name that can be a folder's."""
    # results/speed/ holds measurements of speed, which are no records of runs.
    if value == "speed":
        return "another name: results/speed is taken"
    return None if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value) else "letters, digits, '_', '.' and '-'"


def one_of(*known: str) -> Check:
    """One of some names."""
    return lambda value: None if value in known else "one of " + ", ".join(known)


def auto_augment(value: str) -> str | None:
    """No automatic augmentation, or RandAugment in timm's words."""
    words = "'' or timm's words for RandAugment, such as 'rand-m9-mstd0.5-inc1'"
    return None if re.fullmatch(r"(rand(-[a-z]+[0-9.]+)+)?", value) else words
