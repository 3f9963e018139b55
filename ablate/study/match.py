"""Variants of equal size: a width is solved so that a variant has the parameters or the MACs of the control.

The width is the field that the variant's mixer declares as `KNOB` (the hidden width over tokens of `patch_ff`, the gate
of `gating`), otherwise `dim`; if an axis sets that field, it is `dim`. The other fields of the variant do not change.
Costs come from formulas, so that listing a matched study does not import torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from ablate.model.cost import inputs, macs, parameters
from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import MIXERS
from ablate.spec.run import Run, differences
from ablate.spec.source import optional

MODES = ("none", "params", "macs")
TOLERANCE = 0.05
LARGEST_WIDTH = 2**20
# The fields that determine each knob: if an axis sets one of them, the knob cannot be solved for.
KNOBS = {"dim": {"dim"}, "token_hidden": {"token_hidden", "token_ratio"}, "gating_ratio": {"gating_ratio"}}
IN_WORDS = {"params": "parameters", "macs": "MACs"}


@dataclass(frozen=True)
class Match:
    """How a variant was matched to the control's size.

    Args:
        mode: "params" or "macs".
        unmatched: the variant before.
        knob: the field that was solved for.
        value: its solution.
        target: the control's parameters or MACs, for the channels and classes of `ablate.model.cost.inputs`.
        reached: the variant's.
    """

    mode: str
    unmatched: Run
    knob: str
    value: int | float
    target: int
    reached: int

    @property
    def error(self) -> float:
        """Return the relative error."""
        return self.reached / self.target - 1

    def as_data(self) -> dict[str, Any]:
        """Return everything except the run, for JSON."""
        numbers = {"value": self.value, "target": self.target, "reached": self.reached, "error": self.error}
        return {"mode": self.mode, "knob": self.knob} | numbers

    def __str__(self) -> str:
        error = f"{100 * self.error:+.2f} %".replace("-", "\N{MINUS SIGN}")
        return f"{self.knob}={self.value:g} for the control's {IN_WORDS[self.mode]}, {error} off"


def check_mode(mode: object) -> None:
    """Refuse an unknown mode of matching."""
    if mode not in MODES:
        raise unknown("match", mode, MODES)


@cache
def solve(label: str, run: Run, control: Run, mode: str) -> tuple[Run, Match | None]:
    """Return the run at the control's size, and the match; a run that has this size already is unchanged.

    Args:
        label: the name of the run in messages.
        mode: one of `MODES`.

    Raises:
        SpecError: if no valid width is within 5 %.
    """
    target = _cost(control, mode)
    if target is None or _cost(run, mode) == target:
        return run, None
    knob = _knob(label, run, control)
    at = _nearest(run, knob, mode, target)
    solved = _at(run, knob, at)
    reached = _cost(solved, mode) if solved else None
    if solved is None or reached is None:
        raise SpecError(f"{label} cannot be matched by {knob}: it has no valid width")
    match = Match(mode, run, knob, getattr(solved, knob), target, reached)
    if abs(match.error) > TOLERANCE:
        raise SpecError(
            f"{label} cannot be matched to the control's {target:,} {IN_WORDS[mode]}: the nearest is "
            f"{knob}={match.value:g} with {reached:,}, {100 * match.error:+.1f} %, and must be within {TOLERANCE:.0%}"
        )
    return solved, match


def check(label: str, run: Run, control: Run, match: Match, sizes: tuple[int, int]) -> None:
    """Check a match with the real channels and classes, which are known only if the dataset is available.

    Raises:
        SpecError: if its error exceeds 5 %.
    """
    target, reached = (_cost(one, match.mode, sizes) for one in (control, run))
    if target and reached and abs(reached / target - 1) > TOLERANCE:
        off = f"{100 * (reached / target - 1):+.1f} %"
        raise SpecError(
            f"{label} was matched for {inputs(run.dataset)[1]:,} classes and is {off} off for the {sizes[1]} of "
            f"{run.dataset}, and must be within {TOLERANCE:.0%}: match by a knob other than dim"
        )


def _cost(run: Run | None, mode: str, sizes: tuple[int, int] | None = None) -> int | None:
    """Return parameters or MACs; None without a match, and for an invalid width."""
    if run is None or mode == "none":
        return None
    sizes = sizes or inputs(run.dataset)
    return parameters(run, *sizes)[0] if mode == "params" else macs(run, *sizes)


def _knob(label: str, run: Run, control: Run) -> str:
    path = MIXERS.path(run.mixer)
    declared = str(optional(path, "KNOB", "dim"))
    if declared not in KNOBS:
        raise SpecError(f"KNOB in {path} must be one of {', '.join(KNOBS)}, got {declared!r}")
    moved = set(differences(control, run))
    free = [knob for knob in (declared, "dim") if not KNOBS[knob] & moved]
    if not free:
        raise SpecError(f"{label} sets both {declared} and dim, so there is no width to match it by")
    return free[0]


def _step(run: Run) -> int:
    """Return the number that valid widths are multiples of."""
    halvings = run.patch_size.bit_length() - 2 if run.stem == "conv" else 0
    return math.lcm(run.heads, 4 if run.pos_embed == "sincos" else 1, 2 ** max(halvings, 0))


def _at(run: Run, knob: str, at: int) -> Run | None:
    """Return the run with the nth valid value of its knob; None if another rule forbids it."""
    value = {"dim": at * _step(run), "token_hidden": at, "gating_ratio": at / run.dim}[knob]
    try:
        return run.replace(**{knob: value})
    except SpecError:
        return None


def _nearest(run: Run, knob: str, mode: str, target: int) -> int:
    """Return the number of the valid value whose cost, which increases with it, is nearest to the target."""

    def cost(at: int) -> int:
        return _cost(_at(run, knob, at), mode) or -1

    high = 1
    while cost(high) < target and high < LARGEST_WIDTH:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) < target else (low, middle)
    return min((at for at in (low, high) if at > 0), key=lambda at: (cost(at) < 0, abs(cost(at) - target)))
