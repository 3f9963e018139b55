"""What each variant of a study changes against its control, and what of that goes beyond the factor it declares.

Two architectures are compared part by part: modules, shapes, decay groups, norms, dropout. A field answers for a slot
of the model (the mixer for `blocks.*.attn`); what a declared field changes inside its slot is the factor, and
everything else is said under "also changes". Nothing here knows what a mixer is: the built models tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ablate.data.datasets import at_hand, source
from ablate.model.cost import inputs
from ablate.spec.errors import SpecError
from ablate.spec.parts import DATASETS
from ablate.spec.run import SHAPING, Run, differences
from ablate.store.root import Root
from ablate.study.architecture import Architecture, fill, keep, kept, key_of
from ablate.study.match import Match, check
from ablate.study.study import Study, Variant

# Fields that decide how the parameters start, which an architecture does not show.
STARTING = {"cls_init"}
# Dropout is a factor of its own: a mixer that has none where the control's had some changes more than the mixer.
_PARTS = ("module", "shape", "training", "norm axis")
_MIXER = (*(f"{kind}:blocks.*.attn*" for kind in _PARTS), "*:blocks.*.drop_path1")
_CHANNEL = (*(f"{kind}:blocks.*.mlp*" for kind in _PARTS), "*:blocks.*.drop_path2")
# Where in the model a field may change things without changing more than it says, as patterns of KIND:NAME.
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
        name: of the module or parameter; blocks are alike and are `blocks.*`.
        what: before and after.
    """

    kind: str
    name: str
    what: str

    def within(self, fields: Collection[str]) -> bool:
        """Whether it lies in the slot of one of the fields."""
        slots = [slot for field in fields for slot in SLOTS.get(field, ())]
        return any(fnmatchcase(f"{self.kind}:{self.name}", slot) for slot in slots)


def in_words(changes: Iterable[Change]) -> list[str]:
    """A line for all changes of a kind that are alike."""
    names: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        names.setdefault((change.kind, change.what), []).append(change.name)
    return [f"{kind} {', '.join(where)}".strip() + f": {what}" for (kind, what), where in names.items()]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A variant held against its control.

    Args:
        variant: its label.
        fields: the fields that differ, each with the control's value and its own.
        declared: the fields the study means to change; with a match, the one that was solved for too.
        changes: how the models differ.
        before: the control's architecture.
        after: the variant's.
        match: how it was brought to the control's size, if it was.
        bundled: fields that an axis of no field's name moves at once: no single factor.
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
        """What the declared factor changes in its own slot."""
        return [change for change in self.changes if change.within(self.declared)]

    @property
    def also_changes(self) -> list[str]:
        """What changes beyond the declared factor, in words: fields first, then what the models show."""
        more = {name: pair for name, pair in self.fields.items() if name not in self.declared}
        fields = [f"{name}: {_word(before)} → {_word(after)}" for name, (before, after) in more.items()]
        first = (
            [f"one axis moves {len(self.bundled)} fields at once: {', '.join(self.bundled)}"] if self.bundled else []
        )
        first += ["nothing: the fields differ and the models are the same"] if self.inert else []
        return first + fields + in_words(change for change in self.changes if not change.within(self.declared))

    @property
    def inert(self) -> bool:
        """Whether only fields that shape the model differ, and the model is the control's all the same."""
        return bool(self.fields) and set(self.fields) <= SHAPING - STARTING and self.before == self.after

    @property
    def receptive_field_gap(self) -> str:
        """What the variant's logits cannot depend on, in a sentence; empty where they can depend on every patch."""
        return self.after.receptive_field_gap

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Parameters, those decayed, not decayed and frozen, MACs and tokens, of the control and of the variant."""
        costs = {name: (self.before.costs[name], self.after.costs[name]) for name in ("params", "macs", "tokens")}
        return costs | {name: (size, self.after.sizes[name]) for name, size in self.before.sizes.items()}

    def as_data(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
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
    """Every variant of a study against its control, the control first.

    Args:
        root: architectures are kept in its `runs/cache`.
        data: where directories of images lie, by name, to count their classes.
        sizes: channels and classes of every data set, where they are known; None looks at the data.
    """
    variants = study.variants(scale)
    folder = root.runs / "cache"
    if sizes is None:
        sizes = {name: classes_of(name, data or {}) for name in {variant.run.dataset for variant in variants}}
    fill(folder, [(variant.run, *sizes[variant.run.dataset]) for variant in variants])
    found = [architecture_of(variant.run, *sizes[variant.run.dataset], folder) for variant in variants]
    return [_compare(variants[0], variant, found[0], after) for variant, after in zip(variants, found, strict=True)]


def check_matches(study: Study, scale: str, data: Mapping[str, str]) -> None:
    """Refuse variants whose match does not hold for the data at hand; see `ablate.study.match.check`."""
    variants = study.variants(scale)
    for variant in variants:
        if variant.match is not None:
            sizes = classes_of(variant.run.dataset, data)
            check(variant.label, variant.run, variants[0].run, variant.match, sizes)


def classes_of(dataset: str, data: Mapping[str, str]) -> tuple[int, int]:
    """Channels and classes: those of the directory of images where one will do, else `complexity.inputs`."""
    if dataset in DATASETS or not at_hand(dataset, data):
        return inputs(dataset)
    module, location = source(dataset, data)
    try:
        return inputs(dataset)[0], len(module.DIRECTORY.facts(location).classes)
    except SpecError:
        return inputs(dataset)  # what is wrong with it is said before it is trained on


def architecture_of(run: Run, channels: int, classes: int, folder: Path) -> Architecture:
    """A run's architecture: what the folder keeps of it, else worked out with torch, and kept there."""
    path = folder / f"{key_of(run, channels, classes)}.json"
    found = kept(path)
    if found is None:
        from ablate.study.outline import outline

        found = outline(run, channels, classes)
        keep(path, found)
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
    """The fields that differ and have company: one axis moves several of them."""
    groups = [axis & set(fields) for axis in variant.bundled]
    return {name for group in groups if len(group) > 1 for name in group}


def model_changes(before: Architecture, after: Architecture) -> Iterator[Change]:
    """How one model differs from another; of a branch that was exchanged only its top."""
    exchanged = list(_exchanged(before.modules, after.modules))
    axes = list(_both("norm axis", before.norms, after.norms))
    yield from (change for change in exchanged if change.name not in {axis.name for axis in axes})
    yield from axes
    inside = tuple(f"{change.name}." for change in exchanged)
    kept = {name: _shape(shape) for name, shape in before.shapes.items() if not name.startswith(inside)}
    yield from _both("shape", kept, {name: _shape(shape) for name, shape in after.shapes.items()})
    yield from _embeddings(before.shapes, after.shapes)
    yield from _both("training", before.treatment, after.treatment)
    yield from _dropout(before.dropout, after.dropout)
    if sorted(before.order) == sorted(after.order) and before.order != after.order:
        yield Change("order", "blocks.*", f"{' then '.join(before.order)} → {' then '.join(after.order)}")
    if before.costs["tokens"] != after.costs["tokens"]:
        yield Change("tokens", "", f"{before.costs['tokens']} → {after.costs['tokens']}")


def _exchanged(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Modules that came, went or are of another class."""
    told: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name, "none"), after.get(name, "none")
        if a != b and not name.startswith(tuple(told)):
            told.append(f"{name}.")
            yield Change("module", name, f"{a} → {b}")


def _embeddings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Parameters of no module, such as the class token, that came or went."""
    for name in dict.fromkeys([*before, *after]):
        if "." not in name and (name in before) != (name in after):
            yield Change("parameter", name, "present → none" if name in before else "none → present")


def _both(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """What both models have and differ in."""
    for name, value in before.items():
        if after.get(name, value) != value:
            yield Change(kind, name, f"{value} → {after[name]}")


def _dropout(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[Change]:
    """Rates that differ; a layer that is not there drops nothing."""
    for name in dict.fromkeys([*before, *after]):
        a, b = before.get(name, 0.0), after.get(name, 0.0)
        if a != b:
            yield Change("dropout", name, f"{a:g} → {b:g}")


def _shape(shape: list[int]) -> str:
    return "×".join(map(str, shape))


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
