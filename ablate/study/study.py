"""A question, a base, axes, scales and claims, turned into runs.

A study is a Python file that assigns `study`. Axes change one at a time from the control (the first value of every
axis), or all together with `cross=True`; every variant is run with the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ablate.spec.errors import SpecError, unknown
from ablate.spec.printable import one_line
from ablate.spec.run import Run
from ablate.study.axes import (
    AxisValues,
    Step,
    bundled_by,
    changes_of,
    check_axes,
    check_match,
    choices,
    declared_by,
    label_of,
    number_of_choices,
    step_of,
    steps_of,
)
from ablate.study.checks import (
    check_distinct,
    check_fields,
    check_flag,
    check_name,
    check_runs,
    check_seeds,
    check_sequence,
    check_text,
    check_type,
    check_variants,
)
from ablate.study.claims import UNTRAINED, Claim, Quantity
from ablate.study.match import Match, solve


@dataclass(frozen=True)
class Scale:
    """The base of a study at one size.

    Args:
        fields: the fields of `Run` this scale sets; the rest keep their defaults.
        expect: the expected time, as text, such as "two minutes on a laptop".
        seeds: the number of seeds at this scale, if it differs from the study's.
        axes: the values that some of the study's axes have at this scale, in place of the study's.
    """

    fields: Mapping[str, Any]
    expect: str = ""
    seeds: int | None = None
    axes: Mapping[str, AxisValues] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields("fields of a scale", self.fields)
        check_type("axes of a scale", self.axes, Mapping, "a dict of axes with their values")
        check_type("expect of a scale", self.expect, str, "text")
        if self.seeds is not None:
            check_seeds(self.seeds)

    def replace(
        self, *, axes: Mapping[str, AxisValues] | None = None, seeds: int | None = None, expect: str = "", **fields: Any
    ) -> Scale:
        """Return this scale with some fields changed, or with its own axes, seeds or expected time."""
        return Scale(
            {**self.fields, **fields},
            expect or self.expect,
            self.seeds if seeds is None else seeds,
            self.axes if axes is None else axes,
        )


@dataclass(frozen=True)
class Variant:
    """One of the compared configurations.

    Args:
        label: its name.
        run: its run, with seed 0.
        declared: the fields that its axes declare to change.
        bundled: the fields of each axis that is not named after a field and not at its first step.
        match: how it was matched to the control's size, if it was.
    """

    label: str
    run: Run
    declared: frozenset[str] = frozenset()
    bundled: Sequence[frozenset[str]] = ()
    match: Match | None = None

    @property
    def unmatched(self) -> Run:
        """Return the run before matching."""
        return self.match.unmatched if self.match else self.run


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question and the variants that answer it.

    Args:
        question: one sentence ending in a question mark.
        axes: a field of `Run` with its values, the control's first; or any name with a mapping of labels to fields
            that change together. The axis `match` with its modes gives every variant once per mode.
        scales: its sizes, by name; the first is the default. A scale may have its own values of axes.
        fixed: fields of every variant at every scale.
        seeds: runs per variant, with seeds 0, 1, ….
        cross: combine the axes instead of changing one at a time.
        match: "params" or "macs" gives every variant the control's parameters or MACs, see `ablate.study.match`.
        claims: its claims, judged from the records.
        benchmark_only: it is measured by `ablate bench` and trains nothing, so it has no runs.
        name: set by `load` from the file's name.
        source: set by `load`: its name, or the name of its file.
        argument: set by `load`: its name or the path of its file, quoted for a shell.
    """

    question: str
    axes: Mapping[str, AxisValues]
    scales: Mapping[str, Scale]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    cross: bool = False
    match: str = "none"
    claims: Sequence[Claim] = ()
    benchmark_only: bool = False
    name: str = "unnamed"
    source: str = ""
    argument: str = ""

    def __post_init__(self) -> None:
        self._check_types()
        if not self.scales:
            raise SpecError(f"study {self.name} must have at least one scale, got none")
        check_seeds(self.seeds)
        check_distinct("the scales of a study", self.scales)
        for scale in self.scales:
            check_name("the name of a scale", scale)
            axes = self.axes_at(scale)
            check_axes(axes)
            check_match(self.match, axes)
        if any("seed" in part for part in (self.axes, self.fixed, *(s.fields for s in self.scales.values()))):
            raise SpecError(f"study {self.name} must not set the field seed; set the number of seeds, as in seeds=3")
        for claim in self.claims:
            self._check_claim(claim)

    def _check_types(self) -> None:
        check_text("question", self.question)
        object.__setattr__(self, "question", one_line(self.question))
        check_fields("fixed", self.fixed)
        check_type("axes", self.axes, Mapping, "a dict of axes with their values")
        check_type("scales", self.scales, Mapping, "a dict of names with a Scale each")
        for name, scale in self.scales.items():
            check_type(f"scale {name}", scale, Scale, "a Scale, such as DIGITS or Scale({...})")
        check_flag("cross", self.cross)
        check_flag("benchmark_only", self.benchmark_only)
        check_sequence("claims", self.claims, "a list of Claim(...)")
        for claim in self.claims:
            check_type("claims", claim, Claim, "a list of Claim(...)")

    def _check_claim(self, claim: Claim) -> None:
        for scale in claim.scales or ():
            self.scale(scale)
        trained = [q.column for q in claim.quantities() if q.column not in UNTRAINED]
        if self.benchmark_only and trained:
            raise SpecError(
                f"claim {claim.sentence!r} of the benchmark_only study {self.name} must be about "
                f"{', '.join(UNTRAINED)}, got {trained[0]}"
            )

    def scale(self, name: str | None) -> str:
        """Return the name of a scale, the first one for None; raise a `SpecError` if it is unknown."""
        if name is None:
            return next(iter(self.scales))
        if name not in self.scales:
            raise unknown("scale", name, self.scales)
        return name

    def base(self, scale: str | None = None) -> dict[str, Any]:
        """Return the fields that variants share unless an axis changes them."""
        return {**self.scales[self.scale(scale)].fields, **self.fixed}

    def axes_at(self, scale: str | None = None) -> dict[str, AxisValues]:
        """Return the axes with their values at a scale, in the study's order.

        Raises:
            SpecError: if the scale has values for an unknown axis.
        """
        own = self.scales[self.scale(scale)].axes
        for axis in own:
            if axis not in self.axes:
                raise unknown("axis", axis, self.axes)
        return {axis: own.get(axis, values) for axis, values in self.axes.items()}

    def claims_at(self, scale: str | None = None) -> list[Claim]:
        """Return the claims that are judged at a scale."""
        scale = self.scale(scale)
        return [claim for claim in self.claims if claim.scales is None or scale in claim.scales]

    def variants(self, scale: str | None = None) -> list[Variant]:
        """Return all variants, the control first, each once."""
        scale = self.scale(scale)
        if scale not in self._solved:
            self._solved[scale] = self._variants(scale)
        return list(self._solved[scale])

    @cached_property
    def _solved(self) -> dict[str, list[Variant]]:
        """Return the cache of variants by scale: solving for a width is slow."""
        return {}

    def _variants(self, scale: str) -> list[Variant]:
        base, axes = self.base(scale), self._steps(scale)
        names, steps = list(axes), list(axes.values())
        check_variants(number_of_choices(steps, self.cross) * len(self._modes(scale)), scale)
        found: dict[str, Variant] = {}
        for choice in choices(steps, self.cross):
            run = Run.from_dict({**base, **changes_of(choice), "seed": 0})
            moved = declared_by(names, choice, steps), bundled_by(names, choice, steps)
            variant = Variant(label_of(choice, steps, self.cross), run, *moved)
            for sized in self._matched(variant, next(iter(found.values()), variant).run, scale):
                found.setdefault(sized.run.key, sized)
        _check_labels([variant.label for variant in found.values()])
        return list(found.values())

    def _steps(self, scale: str) -> dict[str, list[Step]]:
        """Return the steps of every axis at a scale, except `match`."""
        axes = {axis: values for axis, values in self.axes_at(scale).items() if axis != "match"}
        return {axis: steps_of(axis, values, first=at == 0) for at, (axis, values) in enumerate(axes.items())}

    def _modes(self, scale: str) -> Sequence[str]:
        """Return the modes of matching; each variant exists once per mode."""
        return list(self.axes_at(scale).get("match", [self.match]))

    def _matched(self, variant: Variant, control: Run, scale: str) -> Iterator[Variant]:
        """Yield a variant in every mode of matching; the control is unchanged."""
        for mode in self._modes(scale):
            run, match = solve(variant.label, variant.run, control, mode)
            label = f"{variant.label}, match={mode}" if match and "match" in self.axes else variant.label
            yield replace(variant, label=label, run=run, match=match)

    def variant(self, quantity: Quantity, scale: str | None = None) -> Variant:
        """Return the variant of a quantity in a claim.

        Raises:
            SpecError: if the study has no such variant at this scale.
        """
        scale = self.scale(scale)
        variants = self.variants(scale)
        if quantity.label is not None:
            by_label = {variant.label: variant for variant in variants}
            if quantity.label not in by_label:
                raise unknown("variant", quantity.label, by_label)
            return by_label[quantity.label]
        where = dict(quantity.where)
        mode = where.pop("match", None)
        wanted = self._run_where(where, scale)
        alike = [variant for variant in variants if variant.unmatched == wanted]
        found = alike if mode is None else self._in_mode(alike, mode, scale)
        if found:
            return found[0]
        known = ", ".join(variant.label for variant in variants)
        raise SpecError(
            f"{quantity} matches no variant of study {self.name} at scale {scale}; the variants are {known}"
        )

    def _in_mode(self, alike: Sequence[Variant], mode: str, scale: str) -> list[Variant]:
        """Return the variant in one mode; the control, or a variant that is equal in two modes, exists once."""
        if not alike or mode not in self._modes(scale):
            return []
        variants = self.variants(scale)
        run, _ = solve(alike[0].label, alike[0].unmatched, variants[0].run, mode)
        return [variant for variant in variants if variant.run == run]

    def _run_where(self, where: Mapping[str, Any], scale: str) -> Run:
        """Return the control's run with changes: axes by one of their labels, fields by their value."""
        rest = dict(where)
        choice = [step_of(axis, steps, rest) for axis, steps in self._steps(scale).items()]
        return Run.from_dict({**self.base(scale), **changes_of(choice), **rest, "seed": 0})

    def seed_count(self, scale: str | None = None, seeds: int | None = None) -> int:
        """Return the seeds per variant: as requested, else the scale's, else the study's; 0 if benchmark_only."""
        requested = seeds if seeds is not None else self.scales[self.scale(scale)].seeds
        wanted = self.seeds if requested is None else check_seeds(requested)
        check_runs(wanted * len(self.variants(scale)))
        return 0 if self.benchmark_only else wanted

    def runs(self, scale: str | None = None, seeds: int | None = None) -> list[Run]:
        """Return all runs, seed by seed, so that an unfinished study has paired seeds."""
        variants = self.variants(scale)
        return [v.run.replace(seed=seed) for seed in range(self.seed_count(scale, seeds)) for v in variants]


def _check_labels(labels: Sequence[str]) -> None:
    for label in labels:
        check_name("the label of a variant", label)
    check_distinct("the labels of variants", labels)
