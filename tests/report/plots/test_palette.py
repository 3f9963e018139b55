"""The colours of mixers: apart for every kind of eyes, on white and on the report's dark page, and always the same."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from ablate.report.drawing.palette import COLOURS, LINES, MARKERS, OWN, looks, of_mixers
from ablate.spec.parts import MIXERS
from tests.report.plots.frames import frames

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
# Ottosson 2020: linear RGB to cones, and their cube roots to Oklab.
TO_CONES = [
    [0.41222147, 0.53633254, 0.05144599],
    [0.21190350, 0.68069955, 0.10739696],
    [0.08830246, 0.28171884, 0.62997870],
]
TO_OKLAB = [
    [0.21045426, 0.79361778, -0.00407205],
    [1.97799850, -2.42859220, 0.45059371],
    [0.02590404, 0.78277177, -0.80867577],
]
JUST_SEEN = 0.02  # a distance in Oklab that is just noticed
WHITE, DARK = "#ffffff", "#15181c"
ALL = [*COLOURS.values(), *OWN]


def linear(colour: str) -> NDArray[np.float64]:
    part = np.array(to_rgb(colour))
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eyes: str) -> NDArray[np.float64]:
    """A colour as such eyes see it, in Oklab."""
    cones = np.array(TO_CONES) @ np.clip(EYES[eyes] @ linear(colour), 0, 1)
    return np.array(TO_OKLAB) @ np.cbrt(cones)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colours_differ(eyes: str) -> None:
    for one, other in combinations(ALL, 2):
        assert np.linalg.norm(seen(one, eyes) - seen(other, eyes)) > 4 * JUST_SEEN, (one, other)


@pytest.mark.parametrize("paper", [WHITE, DARK])
def test_colours_stand_out(paper: str) -> None:
    for colour in ALL:
        low, high = sorted([luminance(colour), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) > 2.4, colour


def test_every_mixer_has_its_colour() -> None:
    assert set(COLOURS) == set(MIXERS)


def test_mixers_can_be_told_apart_without_colour() -> None:
    marks = [(look.marker, look.line) for look in of_mixers({mixer: mixer for mixer in COLOURS}).values()]
    assert len(set(marks)) == len(COLOURS)


def test_a_mixer_looks_the_same_whatever_stands_beside_it() -> None:
    alone = of_mixers({"x": "patch_ff"})["x"]
    beside = of_mixers({"a": "attention", "mine": "mine", "b": "patch_ff"})["b"]
    assert alone == beside
    assert alone.colour == COLOURS["patch_ff"]


def test_mixers_of_one_s_own_look_the_same_in_any_order_and_differ() -> None:
    names = ["mine", "yours", "theirs"]
    found = of_mixers({name: name for name in names})
    assert found == {**of_mixers({name: name for name in reversed(names)})}
    assert {look.colour for look in found.values()} == set(OWN)


def test_no_two_variants_look_the_same() -> None:
    assert len(set(looks(frames("thirty")["runs"]).values())) == 30
    assert len(set(of_mixers({str(at): "attention" for at in range(len(MARKERS) * len(LINES))}).values())) == 60


def test_a_variant_without_a_run_goes_by_its_label() -> None:
    assert looks(frames("empty")["runs"])["patch_ff"].colour == COLOURS["patch_ff"]
