"""What is measured: each distinct architecture of a study, a named model, or any model of timm's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ablate.model.cost import inputs
from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import MIXERS
from ablate.spec.plugins import SLOTS, files_of, use
from ablate.spec.recipes import FAMILY, PAPER
from ablate.spec.run import SHAPING, Run
from ablate.study.study import Study

MODELS: Mapping[str, Mapping[str, Any]] = {**FAMILY, **PAPER}
GROUPS: Mapping[str, Sequence[str]] = {
    # Table 1, each feed-forward model after its twin with attention, and section 3.4.
    "paper": (
        "ablate_tiny",
        "linear_tiny",
        "ablate_base",
        "linear_base",
        "ablate_large:patch_size=32",
        "linear_large",
        "attention_only_tiny",
    ),
    # With the mean of the tokens: without a mixer, a class token sees nothing.
    "mixers": tuple(f"ablate_{size}:mixer={mixer}:pool=avg" for size in ("tiny", "small") for mixer in MIXERS),
}


@dataclass(frozen=True)
class Subject:
    """A model to measure: a run's, or timm's of that name.

    Args:
        channels: of its pictures; those of a model of timm's are its own, and stand here as 0 until it is built.
        classes: number of them, likewise.
    """

    label: str
    run: Run | None = None
    timm: str = ""
    channels: int = 0
    classes: int = 0

    @property
    def key(self) -> str:
        """Ten hex digits over what shapes the model, its input and its head."""
        shape = [self.run.architecture if self.run else self.timm, self.channels, self.classes]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:10]

    def request(self) -> dict[str, Any]:
        """All a worker must know of it: JSON-ready."""
        return {
            "label": self.label,
            "run": self.run.to_dict() if self.run else None,
            "files": files_of(self.run) if self.run else {},
            "timm": self.timm,
            "channels": self.channels,
            "classes": self.classes,
        }

    @classmethod
    def from_dict(cls, request: Mapping[str, Any]) -> Subject:
        """The subject a request describes."""
        for slot, path in request["files"].items():
            use(path, slot)
        run = Run.from_dict(request["run"]) if request["run"] else None
        return cls(request["label"], run, request["timm"], request["channels"], request["classes"])

    def facts(self) -> dict[str, Any]:
        """What a measurement keeps of it, before it is built."""
        run = self.run
        return {
            "key": self.key,
            "label": self.label,
            "architecture": run.architecture if run else None,
            "run": {name: value for name, value in run.to_dict().items() if name in SHAPING} if run else None,
            "timm": self.timm or None,
        }


def of_study(study: Study, scale: str | None = None) -> list[Subject]:
    """A study's variants, the control first; of those with one architecture the first."""
    found: dict[str, Subject] = {}
    for variant in study.variants(scale):
        subject = Subject(variant.label, variant.run, "", *inputs(variant.run.dataset))
        found.setdefault(subject.key, subject)
    return list(found.values())


def of_names(names: Iterable[str]) -> list[Subject]:
    """Named models at ImageNet's size: "linear_tiny", "ablate_tiny:mixer=pool", or a group such as "paper".

    Raises:
        SpecError: for a name nobody knows, or a field that is none.
    """
    each = [one for name in names for one in GROUPS.get(name, (name,))]
    return [Subject(name, _named(name), "", 3, 1000) for name in each]


def _named(text: str) -> Run:
    name, *changes = text.split(":")
    if name not in MODELS:
        raise unknown("model", name, [*MODELS, *GROUPS])
    given = dict(_change(change) for change in changes)
    return Run.from_dict({**MODELS[name], "dataset": "imagenet", **given})


def _change(text: str) -> tuple[str, Any]:
    """A field and its value, as a number or True or False where it looks like one."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SpecError(f"a model is followed by {text!r}; wanted is FIELD=VALUE")
    if name not in SHAPING:
        raise unknown("field that shapes a model", name, SHAPING)
    if name in SLOTS:
        return name, value
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except json.JSONDecodeError:
        return name, value


def of_timm(names: Iterable[str]) -> list[Subject]:
    """Models of timm's, with the picture size and classes of their own.

    Raises:
        SpecError: for a name that timm does not know.
    """
    return [Subject(_known_to_timm(name), timm=name) for name in names]


def _known_to_timm(name: str) -> str:
    import timm  # here, since it imports torch

    import ablate.zoo.timm_models  # noqa: F401 - importing registers them

    if timm.is_model(name.partition(".")[0]):
        return name
    near = get_close_matches(name, timm.list_models(), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise SpecError(f"timm has no model {name!r}: {hint}wanted is a name that timm.list_models() knows")
