"""A question, a base, axes, scales and claims, turned into runs.

A study is a Python file that assigns `study`. Axes change one at a time from the control (the first value of every
axis), or all together with `cross=True`; every variant is run with the same seeds.
"""

from __future__ import annotations

import itertools
import linecache
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate.claim import Claim, Quantity
from ablate.registry import SpecError, unknown
from ablate.spec import Run

AxisValues = Sequence[Any] | Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Scale:
    """The base of a study at one size.

    Args:
        fields: the fields of `Run` this scale sets; the rest keep their defaults.
        expect: what it takes, in words, such as "two minutes on a laptop".
        seeds: number of seeds at this scale, if it differs from the study's.
    """

    fields: Mapping[str, Any]
    expect: str = ""
    seeds: int | None = None


@dataclass(frozen=True)
class Variant:
    """One of the things compared: a label and the run it stands for, with seed 0."""

    label: str
    run: Run


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked and how it is varied.

    Args:
        question: one sentence ending in a question mark.
        axes: a field of `Run` with its values, the control's first; or any name with a mapping of labels to fields
            that change together.
        scales: the sizes it can be run at, by name; the first is the default.
        fixed: fields that hold for every variant at every scale.
        seeds: runs per variant, with seeds 0, 1, ….
        cross: combine the axes instead of changing one at a time.
        claims: what the study claims, judged from the records.
        name: filled in by `load` from the file's name.
        source: filled in by `load`: what a command calls it, its name or its file.
    """

    question: str
    axes: Mapping[str, AxisValues]
    scales: Mapping[str, Scale]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    cross: bool = False
    claims: Sequence[Claim] = ()
    name: str = "unnamed"
    source: str = ""

    def __post_init__(self) -> None:
        if not self.scales:
            raise SpecError(f"study {self.name} has no scales; wanted is at least one")
        _check_seeds(self.seeds)
        _check_axes(self.axes)
        if any("seed" in part for part in (self.axes, self.fixed, *(s.fields for s in self.scales.values()))):
            raise SpecError(f"study {self.name} sets the field seed; wanted is the number of seeds, as in seeds=3")

    def scale(self, name: str | None) -> str:
        """The scale's name, the first one for None; a `SpecError` for one the study does not have."""
        if name is None:
            return next(iter(self.scales))
        if name not in self.scales:
            raise unknown("scale", name, self.scales)
        return name

    def base(self, scale: str | None = None) -> dict[str, Any]:
        """The fields every variant shares unless an axis changes them."""
        return {**self.scales[self.scale(scale)].fields, **self.fixed}

    def variants(self, scale: str | None = None) -> list[Variant]:
        """All variants, the control first, each once."""
        base = self.base(scale)
        steps = [_steps(axis, values, first=at == 0) for at, (axis, values) in enumerate(self.axes.items())]
        found: dict[str, Variant] = {}
        for choice in _choices(steps, self.cross):
            changes = {name: value for _, part in choice for name, value in part.items()}
            run = Run.of({**base, **changes, "seed": 0})
            found.setdefault(run.key, Variant(_label(choice, steps, self.cross), run))
        return list(found.values())

    def variant(self, quantity: Quantity, scale: str | None = None) -> Variant:
        """The variant a quantity of a claim speaks of.

        Raises:
            SpecError: when the study has no such variant.
        """
        variants = self.variants(scale)
        if quantity.label is not None:
            by_label = {variant.label: variant for variant in variants}
            if quantity.label not in by_label:
                raise unknown("variant", quantity.label, by_label)
            return by_label[quantity.label]
        wanted = variants[0].run.but(**quantity.where)
        for variant in variants:
            if variant.run == wanted:
                return variant
        known = ", ".join(variant.label for variant in variants)
        raise SpecError(f"{quantity} is no variant of study {self.name}; the variants are {known}")

    def seed_count(self, scale: str | None = None, seeds: int | None = None) -> int:
        """How many seeds a variant gets: as asked, else as the scale says, else as the study says."""
        asked = seeds if seeds is not None else self.scales[self.scale(scale)].seeds
        return self.seeds if asked is None else _check_seeds(asked)

    def runs(self, scale: str | None = None, seeds: int | None = None) -> list[Run]:
        """All runs: seed by seed, every variant, so that an unfinished study has paired seeds."""
        variants = self.variants(scale)
        return [v.run.but(seed=seed) for seed in range(self.seed_count(scale, seeds)) for v in variants]


def _check_axes(axes: Mapping[str, AxisValues]) -> None:
    """Every axis has values, and no field is set by two of them: one would silently win."""
    set_by: dict[str, str] = {}
    for axis, values in axes.items():
        if isinstance(values, str) or not len(values):
            raise SpecError(f"axis {axis} is {values!r}; wanted is a list of values, the control's first")
        parts = values.values() if isinstance(values, Mapping) else [{axis: None}]
        for name in {name for part in parts for name in part}:
            if name in set_by:
                raise SpecError(f"axes {set_by[name]} and {axis} both set the field {name}; wanted is one axis a field")
            set_by[name] = axis


def _check_seeds(seeds: int) -> int:
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise SpecError(f"seeds is {seeds!r}; wanted is a whole number, 1 or more")
    return seeds


Step = tuple[str, Mapping[str, Any]]


def _steps(axis: str, values: AxisValues, *, first: bool) -> list[Step]:
    """Each value of an axis as a label and the fields it sets; words on the first axis speak for themselves."""
    if isinstance(values, Mapping):
        return list(values.items())
    return [(v if first and isinstance(v, str) else f"{axis}={v}", {axis: v}) for v in values]


def _choices(steps: Sequence[list[Step]], cross: bool) -> Iterator[tuple[Step, ...]]:
    """One step of every axis each time: all combinations, or one axis at a time away from the first steps."""
    if cross:
        yield from itertools.product(*steps)
        return
    control = tuple(axis[0] for axis in steps)
    yield control
    for at, axis in enumerate(steps):
        for step in axis[1:]:
            yield (*control[:at], step, *control[at + 1 :])


def _label(choice: tuple[Step, ...], steps: Sequence[list[Step]], cross: bool) -> str:
    """The first axis's label, and those of the others where they left the control (all of them when crossed)."""
    rest = [step[0] for step, axis in zip(choice[1:], steps[1:], strict=True) if cross or step is not axis[0]]
    return ", ".join([label for label, _ in choice[:1]] + rest) or "control"


def folders() -> list[Path]:
    """Where studies are looked for by name: ./studies, then those the package carries."""
    package = Path(__file__).parent
    return [Path("studies"), package / "named_studies", package.parent / "studies"]


def named() -> dict[str, Path]:
    """The studies that can be named, each with its file; the first folder that has one wins."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("[!_]*.py")):
            found.setdefault(path.stem, path)
    return found


def load(name: str | Path) -> Study:
    """The study with that name, or in that file.

    Raises:
        SpecError: when there is no such study, or its file fails; the message holds the study's own line.
    """
    path = Path(name)
    if path.suffix != ".py":
        known = named()
        if str(name) not in known:
            raise unknown("study", str(name), known)
        path = known[str(name)]
    if not path.is_file():
        raise SpecError(
            f"there is no study file {path}; wanted is a path to a .py file or one of " + ", ".join(named())
        )
    study = _execute(path).get("study")
    if not isinstance(study, Study):
        raise SpecError(f"{path} assigns no study; wanted is a line `study = Study(...)`")
    study = replace(study, name=path.stem, source=Path(name).name)
    try:
        _check(study)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return study


def _check(study: Study) -> None:
    """Every scale has its variants, and every claim speaks of some."""
    for scale in study.scales:
        study.variants(scale)
        for claim in study.claims:
            for quantity in claim.quantities():
                study.variant(quantity, scale)


def _execute(path: Path) -> dict[str, Any]:
    """The names a study file leaves behind."""
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - a study is a program
    except (Exception, SystemExit) as error:
        raise SpecError(_blame(path, error)) from error
    return names


def _blame(path: Path, error: BaseException) -> str:
    """What went wrong in a study file, with the file's own line."""
    number = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        number = frame.lineno if frame.filename == str(path) else number
    line = linecache.getline(str(path), number or 0).strip()
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    what = reason if isinstance(error, SpecError) else f"{type(error).__name__}: {reason}"
    where = f"{path}, line {number}" if number else str(path)
    return f"{where}: {what}" + (f"\n    {line}" if line else "")
