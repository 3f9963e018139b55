"""What can be evaluated: a model that timm knows, a file of weights, or a run that left its own.

Nothing is downloaded unless `pretrained` asks for it, and no file is unpickled that wants more than tensors.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

import ablate.zoo.timm_models  # noqa: F401 - importing registers them
from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.recipes import DEIT
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.zoo import released

WEIGHTS = "weights.pt"  # what a run leaves in its folder


@dataclass(frozen=True)
class OfRun:
    """A model that a run describes, with the weights for it."""

    run: Run
    channels: int
    classes: int
    weights: released.Weights
    path: Path

    @property
    def source(self) -> str:
        """The file that the weights come from."""
        return self.path.name

    def model(self) -> nn.Module:
        """The model with its weights.

        Raises:
            SpecError: when they do not fit, as for another size of image than they were trained at.
        """
        model = build(self.run, self.channels, self.classes)
        released.accept(model, self.run)
        released.fit(model, self.weights, self.path)
        return model


@dataclass(frozen=True)
class OfTimm:
    """A model by its name in timm, with random weights, those of a file, or, if asked for, timm's own."""

    name: str
    path: Path | None = None
    averaged: bool = False
    pretrained: bool = False

    @property
    def source(self) -> str:
        """Where the weights come from, in a word: a table says so, since random ones look like any other."""
        if self.pretrained:
            return "pretrained"
        return "random" if self.path is None else self.path.name

    def model(self, classes: int, image_size: int | None = None) -> nn.Module:
        """The model; random weights get a head for as many classes as there are, others keep the one they have.

        Raises:
            SpecError: when weights are of another number of classes, do not fit, or cannot be had.
        """
        size: dict[str, Any] = {"img_size": image_size} if image_size and self._fixed else {}
        if self.pretrained:
            return self._downloaded(classes, size)
        model = timm.create_model(self.name, num_classes=classes, **size)
        if self.path is not None:
            weights = released.read(self.path, averaged=self.averaged)
            check_classes(str(self.path), _classes_in(weights, model), classes)
            released.fit(model, weights, self.path)
        return model

    @property
    def _fixed(self) -> bool:
        """Whether the size of its images is settled when it is made."""
        found = timm.get_pretrained_cfg(self.name)
        return found is not None and bool(found.fixed_input_size)

    def _downloaded(self, classes: int, size: dict[str, Any]) -> nn.Module:
        found = timm.get_pretrained_cfg(self.name)
        check_classes(self.name, found.num_classes if found else classes, classes)
        try:
            return timm.create_model(self.name, pretrained=True, **size)
        except SpecError:
            raise
        except Exception as error:  # whatever the network, the hub's client or timm has to say
            raise SpecError(
                f"cannot get the weights of {self.name}: {' '.join(str(error).split())[:200]}; "
                "wanted is a connection, or --weights FILE"
            ) from None


def check_classes(what: str, classes: int, wanted: int) -> None:
    """Refuse a model whose number of classes is not the data's."""
    if classes != wanted:
        raise SpecError(f"{what} has {classes:,} classes and the data {wanted:,}; wanted are as many")


def find(target: str, root: Root, *, averaged: bool = False) -> OfRun | OfTimm:
    """What a word on the command line stands for: a file, a model of timm's, or a run's key, in this order.

    Args:
        averaged: take the moving average of the weights, of a file or a run.

    Raises:
        SpecError: when it is none of them.
    """
    if Path(target).is_file():
        return _in_file(Path(target), averaged)
    if timm.is_model(target.partition(".")[0]):
        _check_tag(target)
        return OfTimm(target)
    left = sorted(root.runs.glob(f"*/{WEIGHTS}"))
    found = [path for path in left if path.parent.name.startswith(target)]
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise SpecError(f"{len(found)} runs begin with {target!r}: {names}; wanted is one of them")
    if found:
        return _in_file(found[0], averaged)
    raise _nothing(target, root)


def _check_tag(name: str) -> None:
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:  # what timm says of a tag it does not know
        architecture, _, tag = name.partition(".")
        known = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise SpecError(f"timm has no weights {tag!r} for {architecture}; known are {known}") from None


def _nothing(target: str, root: Root) -> SpecError:
    if Path(target).suffix in (".pt", ".pth", ".bin", ".tar", ".safetensors") or "/" in target:
        return SpecError(f"there is no weight file {target}")
    if any(folder.name.startswith(target) for folder in root.runs.glob("*/")):
        return SpecError(f"run {target} left no weights under {root.runs}; wanted is one that kept them, see --keep")
    close = difflib.get_close_matches(target, timm.list_models(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return SpecError(
        f"there is no model, weight file or run {target!r}: {hint}wanted is a name of timm's, a file of weights, "
        f"or the key of a run that left weights under {root.runs}"
    )


def _in_file(path: Path, averaged: bool) -> OfRun:
    """One of our own files, which says what run it is of, or one of the paper's, which is known by its names."""
    found, weights = released.content(path), released.read(path, averaged=averaged)
    if isinstance(found, Mapping) and "run" in found:
        return _own(found, weights, path)
    if released.is_released(weights):
        run, channels, classes = released.described(weights)
        run = run.replace(dataset=DEIT["dataset"], eval_crop=DEIT["eval_crop"])
        return OfRun(run, channels, classes, weights, path)
    raise SpecError(f"{path} does not say what model it is of; wanted is evaluate MODEL --weights {path}")


def _own(found: Mapping[str, Any], weights: released.Weights, path: Path) -> OfRun:
    try:
        return OfRun(Run.from_dict(found["run"]), int(found["channels"]), len(found["classes"]), weights, path)
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{path} is no weight file of this version of ablate: {error}") from None


def _classes_in(weights: released.Weights, model: nn.Module) -> int:
    """Number of classes that weights have a head for; the model's own where they have none."""
    own = getattr(model, "num_classes", 0)
    name = getattr(model, "default_cfg", {}).get("classifier")
    head = weights.get(f"{name}.weight") if isinstance(name, str) else None
    return int(head.shape[0]) if isinstance(head, torch.Tensor) else int(own)
