"""The axes of a study: their values as steps, the combinations of steps, and the fields each one declares."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.spec.printable import shown
from ablate.study.checks import MOST_VARIANTS, check_name, check_sequence
from ablate.study.match import check_mode

AxisValues = Sequence[Any] | Mapping[str, Mapping[str, Any]]
VALUES = "a list of values, the control's first"
Step = tuple[str, Mapping[str, Any]]


def check_match(match: str, axes: Mapping[str, AxisValues]) -> None:
    """Check that matching is requested once, as an argument or as an axis with a list of modes."""
    modes = axes.get("match", [match])
    if isinstance(modes, Mapping):
        raise SpecError(f"axis match must be a list of modes, such as ['none', 'params'], got {shown(dict(modes))}")
    for mode in modes:
        check_mode(mode)
    if "match" in axes and match != "none":
        raise SpecError(f"match must be an argument or an axis, got both ({match!r} as the argument); remove one")


def check_axes(axes: Mapping[str, AxisValues]) -> None:
    """Check that every axis has values, in an order, and that no two axes set the same field."""
    set_by: dict[str, str] = {}
    for axis, values in axes.items():
        check_name("the name of an axis", axis)
        if isinstance(values, Mapping):
            _check_labels(axis, values)
        else:
            check_sequence(f"axis {axis}", values, VALUES)
        if not values:
            raise SpecError(f"axis {axis} must be {VALUES}, got {shown(values)}")
        if len(values) > MOST_VARIANTS:
            raise SpecError(f"axis {axis} must have at most {MOST_VARIANTS:,} values, got {len(values):,}")
        parts = values.values() if isinstance(values, Mapping) else [{axis: None}]
        for name in {name for part in parts for name in part}:
            if name in set_by:
                raise SpecError(
                    f"a field must be set by one axis, got axes {set_by[name]} and {axis} for {name}; merge them"
                )
            set_by[name] = axis


def _check_labels(axis: str, values: Mapping[str, Mapping[str, Any]]) -> None:
    for label, part in values.items():
        if not isinstance(label, str) or not isinstance(part, Mapping):
            raise SpecError(f"axis {axis} must map labels to the fields they set, got {shown(label)}: {shown(part)}")
        check_name(f"a label of axis {axis}", label)


def steps_of(axis: str, values: AxisValues, *, first: bool) -> list[Step]:
    """Return each value of an axis as a label and the fields it sets; text on the first axis is its own label."""
    if isinstance(values, Mapping):
        return list(values.items())
    return [(v if first and isinstance(v, str) else f"{axis}={v}", {axis: v}) for v in values]


def step_of(axis: str, steps: Sequence[Step], where: dict[str, Any]) -> Step:
    """Return the step of an axis that `where` names, and remove it from there; otherwise the first step.

    The value of an axis named after a field stays in `where`.

    Raises:
        SpecError: if an axis not named after a field has no such label.
    """
    labels = {label: (label, part) for label, part in steps}
    if axis in where and isinstance(where[axis], str) and where[axis] in labels:
        return labels[where.pop(axis)]
    if axis in where and not any(axis in part for _, part in steps):
        raise unknown(f"label of axis {axis}", where[axis], labels)
    return steps[0]


def changes_of(choice: Iterable[Step]) -> dict[str, Any]:
    """Return the fields that the steps of a choice set."""
    return {name: value for _, part in choice for name, value in part.items()}


def declared_by(axes: Sequence[str], choice: tuple[Step, ...], steps: Sequence[list[Step]]) -> frozenset[str]:
    """Return the fields that the axes not at their first step declare to change.

    These are the field that an axis is named after, or else all fields that it sets.
    """
    found: set[str] = set()
    for axis, step, known in zip(axes, choice, steps, strict=True):
        if step is not known[0]:
            fields = {name for _, part in known for name in part}
            found |= {axis} if axis in fields else fields
    return frozenset(found)


def bundled_by(axes: Sequence[str], choice: tuple[Step, ...], steps: Sequence[list[Step]]) -> list[frozenset[str]]:
    """Return the fields of each axis not named after a field: if several change, there is no single factor."""
    found = []
    for axis, step, known in zip(axes, choice, steps, strict=True):
        fields = frozenset(name for _, part in known for name in part)
        if step is not known[0] and axis not in fields:
            found.append(fields)
    return found


def number_of_choices(steps: Sequence[list[Step]], cross: bool) -> int:
    """Return how many combinations `choices` yields."""
    return math.prod(map(len, steps)) if cross else 1 + sum(len(axis) - 1 for axis in steps)


def choices(steps: Sequence[list[Step]], cross: bool) -> Iterator[tuple[Step, ...]]:
    """Yield one step of every axis: all combinations, or one axis at a time away from the first steps."""
    if cross:
        yield from itertools.product(*steps)
        return
    control = tuple(axis[0] for axis in steps)
    yield control
    for at, axis in enumerate(steps):
        for step in axis[1:]:
            yield (*control[:at], step, *control[at + 1 :])


def label_of(choice: tuple[Step, ...], steps: Sequence[list[Step]], cross: bool) -> str:
    """Return the first axis's label, and those of the axes that differ from the control (of all, if crossed)."""
    rest = [step[0] for step, axis in zip(choice[1:], steps[1:], strict=True) if cross or step is not axis[0]]
    return ", ".join([label for label, _ in choice[:1]] + rest) or "control"
