"""The models to measure: each distinct architecture of a study, a named model, or any timm model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    # Table 1, each feed-forward model after its counterpart with attention, and section 3.4.
    "paper": (
        "ablate_tiny",
        "linear_tiny",
        "ablate_base",
        "linear_base",
        "ablate_large:patch_size=32",
        "linear_large",
        "attention_only_tiny",
    ),
    # With average pooling: without a mixer, a class token does not depend on the image.
    "mixers": tuple(f"ablate_{size}:mixer={mixer}:pool=avg" for size in ("tiny", "small") for mixer in MIXERS),
}


@dataclass(frozen=True)
class Subject:
    """A model to measure: that of a run, or a timm model.

    Args:
        channels: the channels of its images; 0 for a timm model, which defines them itself.
        classes: the number of classes, likewise.
    """

    label: str
    run: Run | None = None
    timm: str = ""
    channels: int = 0
    classes: int = 0

    @property
    def key(self) -> str:
        """Return ten hex digits of a hash over what shapes the model, its input and its head."""
        shape = [self.run.architecture if self.run else self.timm, self.channels, self.classes]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:10]

    def request(self) -> dict[str, Any]:
        """Return everything that a worker needs, for JSON."""
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
        """Return the subject of a request."""
        for slot, path in request["files"].items():
            use(path, slot)
        run = Run.from_dict(request["run"]) if request["run"] else None
        return cls(request["label"], run, request["timm"], request["channels"], request["classes"])

    def facts(self) -> dict[str, Any]:
        """Return the part of its record that is known before it is built."""
        run = self.run
        return {
            "key": self.key,
            "label": self.label,
            "architecture": run.architecture if run else None,
            "run": {name: value for name, value in run.to_dict().items() if name in SHAPING} if run else None,
            "timm": self.timm or None,
        }


def of_study(study: Study, scale: str | None = None) -> list[Subject]:
    """Return a study's variants, the control first; only the first of each architecture."""
    found: dict[str, Subject] = {}
    for variant in study.variants(scale):
        subject = Subject(variant.label, variant.run, "", *inputs(variant.run.dataset))
        found.setdefault(subject.key, subject)
    return list(found.values())


def of_names(names: Iterable[str]) -> list[Subject]:
    """Return named models at ImageNet's size: "linear_tiny", "ablate_tiny:mixer=pool", or a group such as "paper".

    Raises:
        SpecError: for an unknown name or field.
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
    """Return a field and its value, converted to a number or boolean if it looks like one."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SpecError(f"a change to a model must be FIELD=VALUE, got {text!r}")
    if name not in SHAPING:
        raise unknown("field that shapes a model", name, SHAPING)
    if name in SLOTS:
        return name, value
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except json.JSONDecodeError:
        return name, value


def of_timm(names: Iterable[str]) -> list[Subject]:
    """Return timm models, with their own image size and classes.

    Raises:
        SpecError: for a name unknown to timm.
    """
    return [Subject(_known_to_timm(name), timm=name) for name in names]


def _known_to_timm(name: str) -> str:
    import timm  # here, since it imports torch

    from ablate.zoo.candidates import nearest_model

    if timm.is_model(name.partition(".")[0]):
        return name
    hint = f"did you mean {near!r}? " if (near := nearest_model(name)) else ""
    raise SpecError(f"timm has no model {name!r}: {hint}timm.list_models() lists the names")
