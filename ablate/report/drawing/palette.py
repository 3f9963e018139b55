"""How each mixer is drawn: the same in every plot of every study, clear to colour-blind eyes and on grey paper.

The colours were searched for: each stands out on the report's light and its dark page, and any two differ to normal,
red-blind and green-blind eyes; `tests/plots/test_palette.py` holds that. Markers and lines do without colour.
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
OWN = ("#b41e00", "#9687c3", "#00a5ff")  # for mixers of a user's own
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d")
Line = str | tuple[int, tuple[float, ...]]
LINES: tuple[Line, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
SHADES = ((0.0, 0.0), (0.45, 0.0), (0.4, 1.0))  # how far from the mixer's colour to black (0) or white (1)


@dataclass(frozen=True)
class Look:
    """How one variant, or one line of variants, is drawn."""

    colour: str
    marker: str
    line: Line


def variants(data: pd.DataFrame) -> list[str]:
    """All variants of a frame in the study's order, those without a run too."""
    if "variant" not in data:
        return []
    names = data["variant"]
    known = names.cat.categories if isinstance(names.dtype, pd.CategoricalDtype) else names.dropna().unique()
    return [str(name) for name in known]


def looks(data: pd.DataFrame) -> dict[str, Look]:
    """The look of every variant of a frame: its mixer's, shaded where several variants have that mixer."""
    return of_mixers(mixers(data))


def mixers(data: pd.DataFrame) -> dict[str, str]:
    """The mixer of every variant; for one without a run, what its label begins with."""
    known: dict[Any, Any] = {}
    if "mixer" in data and "variant" in data:
        known = data.dropna(subset=["mixer"]).astype({"variant": str}).groupby("variant")["mixer"].first().to_dict()
    return {name: str(known.get(name, name.split(",")[0])) for name in variants(data)}


def of_mixers(mixer_of: dict[str, str]) -> dict[str, Look]:
    """A look for every name with its mixer, in this order; no two are the same."""
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
    """The colour of every mixer, and the place of its marker; one of a user's own gets those its name's hash picks.

    Where two such names pick the same, the second in the alphabet takes the next.
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
    """The colour of a mixer's nth variant: the first has the mixer's own, others a darker or a lighter one."""
    share, towards = SHADES[nth % len(SHADES)]
    red, green, blue = ((1 - share) * part + share * towards for part in to_rgb(colour))
    return to_hex((red, green, blue))
