"""What a study file may say: types, labels that remain different as names of files, and limits.

The limits are far above any study that can be trained: what exceeds them is a mistake, and is refused before it takes
minutes and gigabytes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.spec.errors import SpecError
from ablate.spec.printable import shown

MOST_SEEDS, MOST_VARIANTS, MOST_RUNS = 10_000, 10_000, 100_000
LONGEST_LABEL = 200  # bytes in UTF-8; a file name has at most 255


def check_seeds(seeds: int) -> int:
    """Return a number of seeds per variant; raise a `SpecError` if it is no such number."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise SpecError(f"seeds must be an integer, 1 or more, got {shown(seeds)}")
    if seeds > MOST_SEEDS:
        raise SpecError(f"seeds must be at most {MOST_SEEDS:,}, got {shown(seeds)}")
    return seeds


def check_type(what: str, value: Any, kind: type[Any], words: str) -> None:
    """Check that an argument has a type, described in words; true and false are no numbers."""
    if not isinstance(value, kind):
        raise SpecError(f"{what} must be {words}, got {shown(value)}")


def check_flag(what: str, value: object) -> None:
    """Check an argument that is True or False: any text, "no" too, would count as true."""
    check_type(what, value, bool, "True or False")


def check_fields(what: str, value: object) -> None:
    """Check a mapping of fields of `Run`."""
    check_type(what, value, Mapping, "a dict of fields of Run with their values")


def check_sequence(what: str, value: object, words: str) -> None:
    """Check a list or tuple: a set has no order, and a generator is empty when it is read again."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise SpecError(f"{what} must be {words}, got {shown(value)}")


def check_number(what: str, value: object) -> None:
    """Check a finite real number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(f"{what} must be a finite number, got {shown(value)}")


def check_text(what: str, value: object) -> None:
    """Check text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{what} must be text, got {shown(value)}")


def check_name(what: str, name: object) -> None:
    """Check a name that appears on terminals, in pages and in names of files.

    Raises:
        SpecError: for blank or very long text, for invisible letters, and without any letter or digit.
    """
    if not isinstance(name, str) or not name.isprintable() or name != name.strip() or not re.search(r"\w", name):
        raise SpecError(
            f"{what} must be text on one line with a letter or a digit, without control characters and without spaces "
            f"at its ends, got {shown(name)}"
        )
    if len(name.encode()) > LONGEST_LABEL:
        raise SpecError(
            f"{what} must have at most {LONGEST_LABEL} bytes in UTF-8, got {len(name.encode())} ({shown(name)})"
        )


def check_distinct(what: str, names: Iterable[str]) -> None:
    """Check that names differ by more than case, Unicode normalisation and letters that names of files lack."""
    found: dict[str, str] = {}
    for name in names:
        if (other := found.setdefault(as_file_name(name), name)) is not name:
            raise SpecError(
                f"{what} must differ by more than case and punctuation, got {other!r} and {name!r}; rename one"
            )


def as_file_name(name: str) -> str:
    """Return a name as file systems without case and Unicode compare it."""
    return re.sub(r"[^\w.=,+-]", "_", unicodedata.normalize("NFKC", name).casefold())


def check_variants(number: int, scale: str) -> None:
    """Check the number of variants of a study at a scale."""
    if number > MOST_VARIANTS:
        raise SpecError(f"a study must have at most {MOST_VARIANTS:,} variants, got {number:,} at scale {scale}")


def check_runs(number: int) -> None:
    """Check the number of runs of a study at a scale."""
    if number > MOST_RUNS:
        raise SpecError(f"a study must have at most {MOST_RUNS:,} runs, got {number:,}; use fewer seeds or variants")
