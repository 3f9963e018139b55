"""A question, a base, axes, scales and claims, turned into runs.

A study is a Python file that assigns `study`. Axes change one at a time from the control (the first value of every
axis), or all together with `cross=True`; every variant is run with the same seeds.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate.axes import AxisValues, bundled_by, check_axes, check_match, choices, declared_by, label_of, steps_of
from ablate.claim import Claim, Quantity
from ablate.match import Match, solve
from ablate.registry import SpecError, unknown
from ablate.spec import Run


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
    """One of the things compared.

    Args:
        label: what it is called.
        run: the run it stands for, with seed 0.
        declared: the fields its axes mean to change; whatever else differs from the control comes along.
        together: the fields that an axis of no field's name moves at once.
        match: how it was brought to the control's size, if it was.
    """

    label: str
    run: Run
    declared: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()
    match: Match | None = None

    @property
    def asked(self) -> Run:
        """The run before it was matched."""
        return self.match.asked if self.match else self.run


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked and how it is varied.

    Args:
        question: one sentence ending in a question mark.
        axes: a field of `Run` with its values, the control's first; or any name with a mapping of labels to fields
            that change together. The axis `match` with its modes gives every variant once a mode.
        scales: the sizes it can be run at, by name; the first is the default.
        fixed: fields that hold for every variant at every scale.
        seeds: runs per variant, with seeds 0, 1, ….
        cross: combine the axes instead of changing one at a time.
        match: "params" or "macs" gives every variant the control's parameters or MACs, see `ablate.match`.
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
    match: str = "none"
    claims: Sequence[Claim] = ()
    name: str = "unnamed"
    source: str = ""

    def __post_init__(self) -> None:
        if not self.scales:
            raise SpecError(f"study {self.name} has no scales; wanted is at least one")
        _check_seeds(self.seeds)
        check_axes(self.axes)
        check_match(self.match, self.axes)
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
        axes = {axis: values for axis, values in self.axes.items() if axis != "match"}
        steps = [steps_of(axis, values, first=at == 0) for at, (axis, values) in enumerate(axes.items())]
        found: dict[str, Variant] = {}
        for choice in choices(steps, self.cross):
            changes = {name: value for _, part in choice for name, value in part.items()}
            run = Run.of({**base, **changes, "seed": 0})
            moved = declared_by(list(axes), choice, steps), bundled_by(list(axes), choice, steps)
            variant = Variant(label_of(choice, steps, self.cross), run, *moved)
            for sized in self._matched(variant, next(iter(found.values()), variant).run):
                found.setdefault(sized.run.key, sized)
        return list(found.values())

    @property
    def _modes(self) -> Sequence[str]:
        """How variants are matched: each of them once a mode."""
        return list(self.axes.get("match", [self.match]))

    def _matched(self, variant: Variant, control: Run) -> Iterator[Variant]:
        """A variant at the sizes the study asks for; the control has its own."""
        for mode in self._modes:
            run, match = solve(variant.label, variant.run, control, mode)
            label = f"{variant.label}, match={mode}" if match and "match" in self.axes else variant.label
            yield replace(variant, label=label, run=run, match=match)

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
        where = dict(quantity.where)
        mode = where.pop("match", None)
        wanted = variants[0].run.but(**where)
        # The control, and whatever has its size already, is the same variant in every mode of the study.
        alike = [variant for variant in variants if variant.asked == wanted]
        matched = [variant for variant in alike if mode is None or (variant.match and variant.match.mode == mode)]
        unmatched = [variant for variant in alike if variant.match is None and mode in self._modes]
        if matched or unmatched:
            return (matched or unmatched)[0]
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


def _check_seeds(seeds: int) -> int:
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise SpecError(f"seeds is {seeds!r}; wanted is a whole number, 1 or more")
    return seeds


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
