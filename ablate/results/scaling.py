"""How time and memory grow with the number of tokens, depth, width or batch size: the exponent of a power law.

The exponent is the slope of a least-squares line through the logarithms, with Student's t interval; the slope of the
MACs by formula is next to it. A fixed cost per call flattens the line at small sizes; the interval then is wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ablate.results.stats import LEVEL
from ablate.spec.errors import unknown
from ablate.spec.run import SHAPING

# What grows, and the fields that may change with it along one line.
OVER: Mapping[str, frozenset[str]] = {
    "tokens": frozenset({"patch_size", "image_size"}),
    "depth": frozenset({"depth"}),
    "dim": frozenset({"dim", "heads"}),
    "batch": frozenset(),
}
# The field that is fixed after all if a line would otherwise contain one size twice, or mix two effects.
APART: Mapping[str, str] = {"tokens": "patch_size", "dim": "heads"}
INPUTS = ["channels", "classes"]


@dataclass(frozen=True)
class Slope:
    """An exponent over `n` sizes with its 95 % interval; it has none below three sizes or for an exact fit."""

    exponent: float
    n: int
    error: float | None = None

    @property
    def half(self) -> float | None:
        """Return half of the interval's width."""
        return None if self.error is None else float(stdtrit(self.n - 2, (1 + LEVEL) / 2)) * self.error

    @property
    def low(self) -> float | None:
        """Return the interval's lower end."""
        return None if self.half is None else self.exponent - self.half

    @property
    def high(self) -> float | None:
        """Return the interval's upper end."""
        return None if self.half is None else self.exponent + self.half


@dataclass(frozen=True)
class Curve:
    """One model at several sizes, in one mode on one device.

    Args:
        names: the variants, in the order of size.
        shape: the fields that shape the model and stay the same.
        inputs: channels and classes.
        sizes: tokens, blocks, width or batch size, in ascending order.
        time: the exponent of the seconds per image; over the batch size, of the seconds per step.
        memory: the exponent of the peak memory.
        macs: the exponent of the MACs, by formula.
        over: what grows.
        head_width: features of a head, if the number of heads changes with the width of the tokens.
    """

    names: Sequence[str]
    shape: Mapping[str, Any]
    inputs: tuple[int, int]
    device: str
    mode: str
    batch: int | None
    sizes: Sequence[float]
    seconds: Sequence[float]
    time: Slope
    memory: Slope | None
    macs: Slope
    over: str
    head_width: int | None = None

    @property
    def heads(self) -> str:
        """Return what stays the same about the heads along the width: "4 heads", or "heads of width 16"."""
        number = self.shape.get("heads")
        return f"heads of width {self.head_width}" if number is None else f"{number} head{'' if number == 1 else 's'}"

    @property
    def label(self) -> str:
        """Return the common beginning of its variants' names, or the first and the last of them."""
        parts = zip(*(name.split(", ") for name in self.names), strict=False)
        common = [part[0] for part in takewhile(lambda part: len(set(part)) == 1, parts)]
        return ", ".join(common) or f"{self.names[0]} to {self.names[-1]}"

    def sentence(self) -> str:
        """Return "attention: time grows as tokens^1.62 ± 0.10, MACs as tokens^1.58 (5 sizes; training, float32)"."""
        half = "" if self.time.half is None else f" ± {self.time.half:.2f}"
        time, macs = (f"{self.over}^{one.exponent:.2f}" for one in (self.time, self.macs))
        batch = "" if self.batch is None else f", batch {self.batch}"
        heads = f", {self.heads}" if self.over == "dim" else ""
        place = f"{self.time.n} sizes{heads}; {self.mode}{batch}"
        return f"{self.label}: time grows as {time}{half}, MACs as {macs} ({place})"


def slope(sizes: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the exponent of a power law fitted to values at two or more sizes."""
    from scipy.stats import linregress  # here, since it imports slowly

    found = linregress(np.log(sizes), np.log(values))
    return Slope(float(found.slope), len(sizes), float(found.stderr) if len(sizes) > 2 and found.stderr > 0 else None)


def curves(table: pd.DataFrame, over: str = "tokens", batch: int | None = None) -> list[Curve]:
    """Return every line of two or more sizes in a frame of speed measurements.

    Over the width of the tokens, either the width of a head or the number of heads is constant along a line. Over the
    tokens, models of several patch sizes are on one line, unless the image sizes differ too, so that one number of
    tokens would occur twice. Of several measurements of a model, the newest counts.

    Args:
        table: from `ablate.measure.frame`.
        over: what grows: "tokens", "depth", "dim" or "batch".
        batch: the batch size, unless `over` is "batch"; None is the reference batch.

    Raises:
        SpecError: for another `over`.
    """
    if over not in OVER:
        raise unknown("size", over, OVER)
    rows = table[table["images_per_s"].notna() & table["architecture"].notna()]
    if over != "batch":
        rows = rows[rows["batch"] == (rows["reference_batch"] if batch is None else batch)]
    rows = rows.sort_values("measured_at", ascending=False, kind="stable")
    rows = rows.drop_duplicates(["device", "mode", "batch", *INPUTS, *sorted(SHAPING)]).sort_index()
    still = sorted(SHAPING - OVER[over])
    held = ["device", "mode", *INPUTS, *still] if over == "batch" else ["device", "mode", "batch", *INPUTS, *still]
    return [
        found
        for _, group in rows.groupby(held, sort=False, dropna=False, observed=True)
        for each, fields in _apart(group, over, still)
        for found in _curve(each, over, fields)
    ]


def _apart(group: pd.DataFrame, over: str, still: Sequence[str]) -> Iterator[tuple[pd.DataFrame, Sequence[str]]]:
    """Yield the lines in a group, each with the fields that are constant along it; a line has every size once."""
    mixed = _head_widths(group).nunique() > 1 if over == "dim" else bool(group[over].duplicated().any())
    if not (mixed and over in APART):
        yield group, still
        return
    for _, each in group.groupby(APART[over], sort=False):
        yield each, [*still, APART[over]]


def _head_widths(group: pd.DataFrame) -> pd.Series:
    return group["dim"] / group["heads"]


def _curve(group: pd.DataFrame, over: str, still: Sequence[str]) -> Iterator[Curve]:
    """Yield the line through a group, one point per size; nothing if there is only one size."""
    if group[over].nunique() < 2:
        return
    each = group.sort_values(over)
    sizes = [float(value) for value in each[over]]
    images = each["batch"] if over == "batch" else 1
    seconds = [float(value) for value in images / each["images_per_s"]]
    first = each.iloc[0]
    memory = each["memory_mib"]
    yield Curve(
        names=[str(name) for name in each["variant"]],
        shape={name: first[name] for name in still},
        inputs=(int(first["channels"]), int(first["classes"])),
        device=str(first["device"]),
        mode=str(first["mode"]),
        batch=None if over == "batch" else int(first["batch"]),
        sizes=sizes,
        seconds=seconds,
        time=slope(sizes, seconds),
        memory=slope(sizes, list(memory)) if memory.notna().all() else None,
        macs=slope(sizes, [float(value) for value in images * each["macs"]]),
        over=over,
        head_width=int(_head_widths(each).iloc[0]) if over == "dim" and "heads" not in still else None,
    )
