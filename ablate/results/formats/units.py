"""Numbers for people: 136.8 k, 96.11 ± 1.20, 1 min 42 s. A missing number is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
MINUS = "\N{MINUS SIGN}"
PREFIXES = ("", " k", " M", " G", " T", " P")


def missing(value: float | None) -> bool:
    """Return whether a number is missing: None or NaN."""
    return value is None or math.isnan(value)


def count(value: float | None) -> str:
    """Return a count with one decimal and its unit: 136.8 k, 5.7 M; below a thousand, the count itself."""
    if value is None or math.isnan(value):
        return MISSING
    step = 0
    while step + 1 < len(PREFIXES) and abs(round(value, 1 if step else 0)) >= 1000:
        value, step = value / 1000, step + 1
    return f"{value:.{1 if step else 0}f}{PREFIXES[step]}"


def size(count_of_bytes: int) -> str:
    """Return a number of bytes with a decimal unit: 128.4 MB, 312 B."""
    number, _, prefix = count(count_of_bytes).partition(" ")
    return f"{number} {prefix}B"


def exact(value: float | None) -> str:
    """Return an integer in full: 136,842."""
    return MISSING if value is None or math.isnan(value) else f"{value:,.0f}".replace("-", MINUS)


def signed(value: float, digits: int = 0) -> str:
    """Return a change with its sign: +12,288 or −0.42."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", MINUS)


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: 0.8 s, 41.2 s, 1 min 42 s, 2 h 05 min, 3 d 04 h."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours:02d} h"


def measured(mean: float, low: float, digits: int = 2, *, sign: bool = False) -> str:
    """Return a mean ± half the width of its symmetric interval; without an interval, the mean alone."""
    if missing(mean):
        return MISSING
    text = signed(mean, digits) if sign else f"{mean:,.{digits}f}"
    return text if missing(low) else f"{text} ± {_half(mean - low, digits)}"


def span(row: Mapping[str, Any], name: str) -> str:
    """Return a difference ± half the width of its interval, from the columns of a row."""
    return measured(row[name], row[f"{name}_low"], sign=True)


def ends(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """Return a difference with both ends of its interval, which may be asymmetric."""
    if missing(row[name]):
        return MISSING
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    shown = "" if missing(low) else f" ({signed(low, digits)} to {signed(high, digits)})"
    return signed(row[name], digits) + shown


def p_value(value: float | None) -> str:
    """Return a p value with three decimals; "<0.001" if it would be rounded to zero."""
    if value is None or math.isnan(value):
        return MISSING
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def or_not_measured(value: float) -> str:
    """Return an integer, with one decimal below 100; "not measured" if missing."""
    return "not measured" if missing(value) else f"{value:,.{int(value < 99.95)}f}"


def place(device: str, mode: str, batch: float) -> str:
    """Return a sentence with the device, mode and batch size of speeds."""
    return f"Throughput and memory: {device}; {mode}, batch {batch:.0f}; median of the windows."


def _half(value: float, digits: int) -> str:
    """Return half a width; "<" the last digit if it would be rounded to zero."""
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0 < value < least / 2 else f"{value:,.{digits}f}"
