"""Variants of one size: a width solved so that a variant has the control's parameters, or its MACs.

The width is the knob that the variant's mixer declares as `KNOB` (the hidden width over tokens of `patch_ff`, the gate
of `gating`), else `dim`; where an axis moves that knob itself, `dim`. Nothing else of the variant is touched.
Costs come from formulas, so that listing a matched study does not wait for torch.
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
# The fields that say what a knob says: an axis over one of them leaves nothing for the knob to solve.
KNOBS = {"dim": {"dim"}, "token_hidden": {"token_hidden", "token_ratio"}, "gating_ratio": {"gating_ratio"}}
IN_WORDS = {"params": "parameters", "macs": "MACs"}


@dataclass(frozen=True)
class Match:
    """How a variant was brought to the control's size.

    Args:
        mode: "params" or "macs".
        unmatched: the variant before.
        knob: the field that was solved for.
        value: what came out.
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
        """How far off it is, as a fraction of the control's."""
        return self.reached / self.target - 1

    def as_data(self) -> dict[str, Any]:
        """Everything but the run, ready for JSON."""
        numbers = {"value": self.value, "target": self.target, "reached": self.reached, "error": self.error}
        return {"mode": self.mode, "knob": self.knob} | numbers

    def __str__(self) -> str:
        error = f"{100 * self.error:+.2f} %".replace("-", "\N{MINUS SIGN}")
        return f"{self.knob}={self.value:g} for the control's {IN_WORDS[self.mode]}, {error} off"


def check_mode(mode: object) -> None:
    """Refuse what is no way to match."""
    if mode not in MODES:
        raise unknown("match", mode, MODES)


@cache
def solve(label: str, run: Run, control: Run, mode: str) -> tuple[Run, Match | None]:
    """The run at the control's size, and how that was done; a run that has it already is left alone.

    Args:
        label: what to call the run in messages.
        mode: one of `MODES`.

    Raises:
        SpecError: when no legal width comes within 5 %.
    """
    target = _cost(control, mode)
    if target is None or _cost(run, mode) == target:
        return run, None
    knob = _knob(label, run, control)
    at = _nearest(run, knob, mode, target)
    solved = _at(run, knob, at)
    reached = _cost(solved, mode) if solved else None
    if solved is None or reached is None:
        raise SpecError(f"{label} cannot be matched by {knob}: no width it may have is legal")
    match = Match(mode, run, knob, getattr(solved, knob), target, reached)
    if abs(match.error) > TOLERANCE:
        raise SpecError(
            f"{label} cannot be matched to the control's {target:,} {IN_WORDS[mode]}: the nearest is "
            f"{knob}={match.value:g} with {reached:,}, {100 * match.error:+.1f} %; wanted is within {TOLERANCE:.0%}"
        )
    return solved, match


def check(label: str, run: Run, control: Run, match: Match, sizes: tuple[int, int]) -> None:
    """Hold a match against the data's real channels and classes, which a directory of images tells only when at hand.

    Raises:
        SpecError: when it is further off than 5 % with them.
    """
    target, reached = (_cost(one, match.mode, sizes) for one in (control, run))
    if target and reached and abs(reached / target - 1) > TOLERANCE:
        off = f"{100 * (reached / target - 1):+.1f} %"
        raise SpecError(
            f"{label} was matched for {inputs(run.dataset)[1]:,} classes and is {off} off for the {sizes[1]} of "
            f"{run.dataset}; wanted is within {TOLERANCE:.0%}: match by a knob other than dim"
        )


def _cost(run: Run | None, mode: str, sizes: tuple[int, int] | None = None) -> int | None:
    """Parameters or MACs; None for no match, and for a width that is not legal."""
    if run is None or mode == "none":
        return None
    sizes = sizes or inputs(run.dataset)
    return parameters(run, *sizes)[0] if mode == "params" else macs(run, *sizes)


def _knob(label: str, run: Run, control: Run) -> str:
    path = MIXERS.path(run.mixer)
    declared = str(optional(path, "KNOB", "dim"))
    if declared not in KNOBS:
        raise SpecError(f"{path} has the KNOB {declared!r}; wanted is one of {', '.join(KNOBS)}")
    moved = set(differences(control, run))
    free = [knob for knob in (declared, "dim") if not KNOBS[knob] & moved]
    if not free:
        raise SpecError(f"{label} sets {declared} and dim itself, which leaves no width to match it by")
    return free[0]


def _step(run: Run) -> int:
    """The widths a model may have are the multiples of this."""
    halvings = run.patch_size.bit_length() - 2 if run.stem == "conv" else 0
    return math.lcm(run.heads, 4 if run.pos_embed == "sincos" else 1, 2 ** max(halvings, 0))


def _at(run: Run, knob: str, at: int) -> Run | None:
    """The run with the at-th legal value of its knob; None where another rule forbids it."""
    value = {"dim": at * _step(run), "token_hidden": at, "gating_ratio": at / run.dim}[knob]
    try:
        return run.replace(**{knob: value})
    except SpecError:
        return None


def _nearest(run: Run, knob: str, mode: str, target: int) -> int:
    """The number of the legal value whose cost, which grows with it, is nearest to the target."""

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
