"""The look of each mixer: the same in every plot of every study, for colour-blind readers and grey prints too.

Each colour contrasts with the report's light and dark page, and any two are distinct for normal, red-blind and
green-blind vision; `tests/report/plots/test_palette.py` tests both. Markers and line styles differ as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.colors import to_hex, to_rgb

COLOURS = {
    "attention": "#0173b2",
    "patch_ff": "#d55e00",
    "none": "#777777",
    "linear": "#00693c",
    "gating": "#784b78",
    "pool": "#d29600",
    "dwconv": "#4bb4a5",
    "fourier": "#6969f0",
    "random": "#ff7887",
}
OWN = ("#b41e00", "#9687c3", "#00a5ff")  # for a user's own mixers
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d")
Line = str | tuple[int, tuple[float, ...]]
LINES: tuple[Line, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
SHADES = ((0.0, 0.0), (0.45, 0.0), (0.4, 1.0))  # share of the way from the mixer's colour to black (0) or white (1)


@dataclass(frozen=True)
class Look:
    """The look of one variant, or of one line of variants."""

    colour: str
    marker: str
    line: Line


def variants(data: pd.DataFrame) -> list[str]:
    """Return all variants of a frame in the study's order, including those without a run."""
    if "variant" not in data:
        return []
    names = data["variant"]
    known = names.cat.categories if isinstance(names.dtype, pd.CategoricalDtype) else names.dropna().unique()
    return [str(name) for name in known]


def looks(data: pd.DataFrame) -> dict[str, Look]:
    """Return the look of every variant of a frame: its mixer's, in shades if several variants share the mixer."""
    return of_mixers(mixers(data))


def mixers(data: pd.DataFrame) -> dict[str, str]:
    """Return the mixer of every variant; for one without a run, the first part of its label."""
    known: dict[Any, Any] = {}
    if "mixer" in data and "variant" in data:
        known = data.dropna(subset=["mixer"]).astype({"variant": str}).groupby("variant")["mixer"].first().to_dict()
    return {name: str(known.get(name, name.split(",")[0])) for name in variants(data)}


def of_mixers(mixer_of: dict[str, str]) -> dict[str, Look]:
    """Return a look for every name with its mixer, in this order; all looks are different."""
    base = _places(mixer_of.values())
    met = dict.fromkeys(base, 0)
    found = {}
    for name, mixer in mixer_of.items():
        colour, place = base[mixer]
        nth, met[mixer] = met[mixer], met[mixer] + 1
        marker, line = MARKERS[(place + nth) % len(MARKERS)], LINES[nth % len(LINES)]
        found[name] = Look(shade(colour, nth), marker, line)
    return found


def _places(wanted: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the colour of every mixer and the index of its marker; a user's mixer gets them by the hash of its name.

    If two such names get the same, the second in alphabetical order takes the next.
    """
    names = list(COLOURS)
    found = {mixer: (COLOURS[mixer], names.index(mixer)) for mixer in wanted if mixer in COLOURS}
    taken: set[int] = set()
    for mixer in sorted(set(wanted) - set(COLOURS)):
        at = int(hashlib.sha256(mixer.encode()).hexdigest(), 16) % len(OWN)
        while at in taken and len(taken) < len(OWN):
            at = (at + 1) % len(OWN)
        taken.add(at)
        found[mixer] = OWN[at], len(names) + at
    return found


def shade(colour: str, nth: int) -> str:
    """Return the colour of a mixer's nth variant: the first has the mixer's, others a darker or lighter shade."""
    share, towards = SHADES[nth % len(SHADES)]
    red, green, blue = ((1 - share) * part + share * towards for part in to_rgb(colour))
    return to_hex((red, green, blue))
