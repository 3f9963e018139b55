"""What each variant of a study changes from its control, and which changes go beyond the declared factor.

Two architectures are compared part by part: modules, shapes, decay groups, norms, dropout. A field owns a slot of the
model (the mixer owns `blocks.*.attn`). Changes inside the slot of a declared field are the factor; all others are
listed under "also changes". The comparison uses the built models, without knowledge of particular mixers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ablate.data.datasets import is_available, source
from ablate.model.cost import inputs
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.plugins import files_of
from ablate.spec.run import SHAPING, Run, differences
from ablate.store.root import Root
from ablate.study.architecture import Architecture, fill, key_of, read, write
from ablate.study.match import Match, check
from ablate.study.study import Study, Variant

# Fields of the initial values of parameters, which an architecture does not contain.
STARTING = {"cls_init"}
# Dropout is a separate factor: a mixer without the control's dropout changes more than the mixer.
_PARTS = ("module", "shape", "training", "norm axis")
_MIXER = (*(f"{kind}:blocks.*.attn*" for kind in _PARTS), "*:blocks.*.drop_path1")
_CHANNEL = (*(f"{kind}:blocks.*.mlp*" for kind in _PARTS), "*:blocks.*.drop_path2")
# The slot of each field, as patterns of KIND:NAME: changes there belong to the field.
SLOTS: Mapping[str, tuple[str, ...]] = {
    "mixer": _MIXER,
    "token_ratio": _MIXER,
    "token_hidden": _MIXER,
    "gating_ratio": _MIXER,
    "heads": _MIXER,
    "token_norm": ("*:blocks.*.norm1*",),
    "channel": _CHANNEL,
    "channel_heads": _CHANNEL,
    "mlp_ratio": _CHANNEL,
    "channel_norm": ("*:blocks.*.norm2*",),
    "stem": ("*:patch_embed*",),
    "patch_size": ("*:patch_embed*", "tokens:"),
    "image_size": ("tokens:",),
    "pos_embed": ("*:pos_embed",),
    "pool": ("*:cls_token",),
    "norm_before_pool": ("*:norm*", "*:fc_norm*"),
    "dim": ("shape:*",),
    "drop": ("dropout:*",),
    "drop_path": ("dropout:blocks.*.drop_path*",),
    "dataset": ("shape:head*", "shape:patch_embed*"),
    "decay_pos_embed": ("training:pos_embed",),
    "order": ("order:*",),
}


@dataclass(frozen=True)
class Change:
    """One difference between two models.

    Args:
        kind: "module", "shape", "norm axis", "order", "training" (decayed or not, or frozen), "dropout" or "tokens".
        name: of the module or parameter; all blocks are `blocks.*`.
        what: the values before and after.
    """

    kind: str
    name: str
    what: str

    def within(self, fields: Collection[str]) -> bool:
        """Return whether it is in the slot of one of the fields."""
        slots = [slot for field in fields for slot in SLOTS.get(field, ())]
        return any(fnmatchcase(f"{self.kind}:{self.name}", slot) for slot in slots)


def in_words(changes: Iterable[Change]) -> list[str]:
    """Return one line for all equal changes of a kind."""
    names: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        names.setdefault((change.kind, change.what), []).append(change.name)
    return [f"{kind} {', '.join(where)}".strip() + f": {what}" for (kind, what), where in names.items()]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A variant compared with its control.

    Args:
        variant: its label.
        fields: the fields that differ, each with the control's and the variant's value.
        declared: the fields that the study declares to change; with a match, also the field that was solved for.
        changes: the differences between the models.
        before: the control's architecture.
        after: the variant's.
        match: how it was matched to the control's size, if it was.
        bundled: fields that one axis with labels changes together, so that there is no single factor.
    """

    variant: str
    fields: Mapping[str, tuple[Any, Any]]
    declared: frozenset[str]
    changes: tuple[Change, ...]
    before: Architecture
    after: Architecture
    match: Match | None = None
    bundled: tuple[str, ...] = ()

    @property
    def factor_changes(self) -> list[Change]:
        """Return the changes in the slots of the declared fields."""
        return [change for change in self.changes if change.within(self.declared)]

    @property
    def also_changes(self) -> list[str]:
        """Return the changes beyond the declared factor, as text: fields first, then differences of the models."""
        more = {name: pair for name, pair in self.fields.items() if name not in self.declared}
        fields = [f"{name}: {_word(before)} → {_word(after)}" for name, (before, after) in more.items()]
        first = (
            [f"one axis changes {len(self.bundled)} fields together: {', '.join(self.bundled)}"] if self.bundled else []
        )
        first += ["nothing: the fields differ, but the models are equal"] if self.inert else []
        return first + fields + in_words(change for change in self.changes if not change.within(self.declared))

    @property
    def inert(self) -> bool:
        """Return whether only fields that shape the model differ, but the models are equal."""
        return bool(self.fields) and set(self.fields) <= SHAPING - STARTING and self.before == self.after

    @property
    def receptive_field_gap(self) -> str:
        """Return a sentence on the patches that the variant's logits do not depend on; empty if they depend on all."""
        return self.after.receptive_field_gap

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Return parameters (all, decayed, not decayed, frozen), MACs and tokens of the control and of the variant."""
        costs = {name: (self.before.costs[name], self.after.costs[name]) for name in ("params", "macs", "tokens")}
        return costs | {name: (size, self.after.sizes[name]) for name, size in self.before.sizes.items()}

    def as_data(self) -> dict[str, Any]:
        """Return the comparison for JSON."""
        return {
            "variant": self.variant,
            "declared": sorted(self.declared),
            "fields": {name: list(pair) for name, pair in self.fields.items()},
            "model": in_words(self.changes),
            "also_changes": self.also_changes,
            "receptive_field_gap": self.receptive_field_gap,
            "match": self.match.as_data() if self.match else None,
            **{name.replace(" ", "_"): {"control": a, "variant": b} for name, (a, b) in self.numbers().items()},
        }


def compare(
    study: Study,
    scale: str | None,
    root: Root,
    data: Mapping[str, str] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> list[Comparison]:
    """Compare every variant of a study with its control, the control first.

    Args:
        root: its `runs/cache` caches architectures.
        data: the paths of image directories by name, to count their classes.
        sizes: channels and classes of every dataset if known; None reads the data.
    """
    variants = study.variants(scale)
    folder = root.runs / "cache"
    if sizes is None:
        sizes = {name: classes_of(name, data or {}) for name in {variant.run.dataset for variant in variants}}
    fill(folder, [(variant.run, *sizes[variant.run.dataset]) for variant in variants])
    found = [architecture_of(variant.run, *sizes[variant.run.dataset], folder) for variant in variants]
    return [_compare(variants[0], variant, found[0], after) for variant, after in zip(variants, found, strict=True)]


def check_matches(study: Study, scale: str, data: Mapping[str, str]) -> None:
    """Refuse variants whose match does not hold for the available data; see `ablate.study.match.check`."""
    variants = study.variants(scale)
    for variant in variants:
        if variant.match is not None:
            sizes = classes_of(variant.run.dataset, data)
            check(variant.label, variant.run, variants[0].run, variant.match, sizes)


def check_own_parts(study: Study, scale: str, data: Mapping[str, str]) -> None:
    """Refuse mixers, channel mixers and stems in the user's own files that do not work; see `ablate.model.own`."""
    own = {variant.run.architecture: variant.run for variant in study.variants(scale) if files_of(variant.run)}
    if own:
        from ablate.model.own import check_own

        for run in own.values():
            check_own(run, *classes_of(run.dataset, data))


def classes_of(dataset: str, data: Mapping[str, str]) -> tuple[int, int]:
    """Return channels and classes: of the image directory if available, otherwise from `ablate.model.cost.inputs`."""
    return known_classes(dataset, data) or inputs(dataset)


def known_classes(dataset: str, data: Mapping[str, str]) -> tuple[int, int] | None:
    """Return channels and classes of a dataset; None for an image directory that is not available or not valid."""
    if dataset in DATASETS:
        return inputs(dataset)
    if not is_available(dataset, data):
        return None
    module, location = source(dataset, data)
    try:
        return inputs(dataset)[0], len(module.DIRECTORY.facts(location).classes)
    except SpecError:
        return None  # errors in it are reported before training


def architecture_of(run: Run, channels: int, classes: int, folder: Path) -> Architecture:
    """Return a run's architecture: the cached one, otherwise made with torch and cached."""
    path = folder / f"{key_of(run, channels, classes)}.json"
    found = read(path)
    if found is None:
        from ablate.study.outline import outline

        found = outline(run, channels, classes)
        write(path, found)
    return found


def _compare(control: Variant, variant: Variant, before: Architecture, after: Architecture) -> Comparison:
    fields = differences(control.run, variant.run)
    knob = {variant.match.knob} & set(fields) if variant.match else set()
    return Comparison(
        variant=variant.label,
        fields=fields,
        declared=variant.declared | knob,
        bundled=tuple(name for name in fields if name in _bundled(variant, fields)),
        changes=tuple(model_changes(before, after)),
        before=before,
        after=after,
        match=variant.match,
    )


def _bundled(variant: Variant, fields: Collection[str]) -> set[str]:
    """Return the differing fields that one axis changes together with others."""
    groups = [axis & set(fields) for axis in variant.bundled]
    return {name for group in groups if len(group) > 1 for name in group}


def model_changes(before: Architecture, after: Architecture) -> Iterator[Change]:
    """Yield the differences between two models; of a replaced branch, only its top module."""
    replaced = list(_replaced(before.modules, after.modules))
    axes = list(_both("norm axis", before.norms, after.norms))
    yield from (change for change in replaced if change.name not in {axis.name for axis in axes})
    yield from axes
    inside = tuple(f"{change.name}." for change in replaced)
    remaining = {name: _shape(shape) for name, shape in before.shapes.items() if not name.startswith(inside)}
    yield from _both("shape", remaining, {name: _shape(shape) for name, shape in after.shapes.items()})
    yield from _embeddings(before.shapes, after.shapes)
    yield from _both("training", before.treatment, after.treatment)
    yield from _dropout(before.dropout, after.dropout)
    if sorted(before.order) == sorted(after.order) and before.order != after.order:
        yield Change("order", "blocks.*", f"{' then '.join(before.order)} → {' then '.join(after.order)}")
    if before.costs["tokens"] != after.costs["tokens"]:
        yield Change("tokens", "", f"{before.costs['tokens']} → {after.costs['tokens']}")


def _replaced(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Yield modules that were added, removed or replaced by another class."""
    done: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name, "none"), after.get(name, "none")
        if a != b and not name.startswith(tuple(done)):
            done.append(f"{name}.")
            yield Change("module", name, f"{a} → {b}")


def _embeddings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Yield parameters outside modules, such as the class token, that were added or removed."""
    for name in dict.fromkeys([*before, *after]):
        if "." not in name and (name in before) != (name in after):
            yield Change("parameter", name, "present → none" if name in before else "none → present")


def _both(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Yield differing values of what both models have."""
    for name, value in before.items():
        if after.get(name, value) != value:
            yield Change(kind, name, f"{value} → {after[name]}")


def _dropout(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[Change]:
    """Yield differing dropout rates; a missing layer has rate 0."""
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name, 0.0), after.get(name, 0.0)
        if a != b:
            yield Change("dropout", name, f"{a:g} → {b:g}")


def _shape(shape: list[int]) -> str:
    return "×".join(map(str, shape))


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
