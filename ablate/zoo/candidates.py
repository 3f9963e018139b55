"""Models to evaluate: a timm model, a weight file, or a run that kept its weights.

Only `pretrained` downloads anything, and a file is unpickled only if it contains nothing but tensors and plain data.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
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
from ablate.zoo import released, weight_files

SIMILAR = 0.7  # of 1.5
WEIGHTS = "weights.pt"  # in the folder of a run


@dataclass(frozen=True)
class OfRun:
    """The model of a run, with its weights; `checked` tells whether their file has checksums, which were right."""

    run: Run
    channels: int
    classes: int
    weights: weight_files.Weights
    path: Path
    checked: bool = True

    @property
    def source(self) -> str:
        """Name of the weight file."""
        return self.path.name

    def model(self) -> nn.Module:
        """Return the model with its weights.

        Raises:
            SpecError: when they do not fit, as for another image size than that of the training.
        """
        model = build(self.run, self.channels, self.classes)
        released.accept(model, self.run)
        released.fit(model, self.weights, self.path)
        return model


@dataclass(frozen=True)
class OfTimm:
    """A timm model with random weights, those of a file, or pretrained ones."""

    name: str
    path: Path | None = None
    averaged: bool = False
    pretrained: bool = False

    @property
    def source(self) -> str:
        """Origin of the weights: "pretrained", "random" or the name of the file."""
        if self.pretrained:
            return "pretrained"
        return "random" if self.path is None else self.path.name

    @property
    def checked(self) -> bool:
        """Whether the weights are from no file, or from one with checksums, which were right."""
        return self.path is None or weight_files.has_checksums(self.path)

    def model(self, classes: int, image_size: int | None = None) -> nn.Module:
        """Return the model. Random weights get a head for the given number of classes; other weights keep theirs.

        Raises:
            SpecError: when weights have another number of classes, do not fit, or cannot be downloaded.
        """
        size: dict[str, Any] = {"img_size": image_size} if image_size and self._fixed else {}
        if self.pretrained:
            return self._downloaded(classes, size)
        model = timm.create_model(self.name, num_classes=classes, **size)
        if self.path is not None:
            weights = weight_files.read(self.path, averaged=self.averaged)
            check_classes(str(self.path), _classes_in(weights, model), classes)
            released.fit(model, weights, self.path)
        return model

    @property
    def _fixed(self) -> bool:
        """Whether the image size must be set when the model is created."""
        found = timm.get_pretrained_cfg(self.name)
        return found is not None and bool(found.fixed_input_size)

    def _downloaded(self, classes: int, size: dict[str, Any]) -> nn.Module:
        found = timm.get_pretrained_cfg(self.name)
        check_classes(self.name, found.num_classes if found else classes, classes)
        try:
            return timm.create_model(self.name, pretrained=True, **size)
        except SpecError:
            raise
        except Exception as error:  # the network, the client of the hub or timm can raise anything
            raise SpecError(
                f"cannot download the weights of {self.name}: {' '.join(str(error).split())[:200]}; "
                "check the connection, or pass --weights FILE"
            ) from None


def check_classes(model: str, classes: int, expected: int) -> None:
    """Refuse a model whose number of classes differs from that of the data."""
    if classes != expected:
        raise SpecError(f"{model} must have {expected:,} classes, as the data, got {classes:,}")


def find(target: str, root: Root, *, averaged: bool = False) -> OfRun | OfTimm:
    """Return the model that a word on the command line names: a file, a timm model or the key of a run, in this order.

    Args:
        target: the word; a unique prefix of a key is sufficient.
        root: the root folder, for runs.
        averaged: use the moving average of the weights of a file or a run.

    Raises:
        SpecError: when it names none of them.
    """
    if Path(target).is_file():
        return _in_file(Path(target), averaged)
    if timm.is_model(target.partition(".")[0]):
        _check_tag(target)
        return OfTimm(target)
    weights = sorted(root.runs.glob(f"*/{WEIGHTS}"))
    found = [path for path in weights if path.parent.name.startswith(target)]
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise SpecError(f"{len(found)} runs begin with {target!r}: {names}; choose one of them")
    if found:
        return _in_file(found[0], averaged)
    raise _not_found(target, root)


def _check_tag(name: str) -> None:
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:  # raised by timm for an unknown tag
        architecture, _, tag = name.partition(".")
        known = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise SpecError(f"timm has no weights {tag!r} for {architecture}; known are {known}") from None


def _not_found(target: str, root: Root) -> SpecError:
    if Path(target).suffix in (".pt", ".pth", ".bin", ".tar", ".safetensors") or "/" in target:
        return SpecError(f"there is no weight file {target}")
    if any(folder.name.startswith(target) for folder in root.runs.glob("*/")):
        return SpecError(f"run {target} kept no weights under {root.runs}; see --keep")
    hint = f"did you mean {near!r}? " if (near := nearest_model(target)) else ""
    return SpecError(
        f"there is no model, weight file or run {target!r}: {hint}pass the name of a timm model, a weight file, "
        f"or the key of a run that kept its weights under {root.runs}"
    )


def nearest_model(name: str) -> str:
    """Return the timm model with the most similar name, also in its beginning; empty if none is similar."""

    def similarity(known: str) -> float:
        equal = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, known, strict=False)))
        return difflib.SequenceMatcher(None, known, name).ratio() + equal / len(name) / 2

    best = max(timm.list_models(), key=similarity)
    return best if similarity(best) > SIMILAR else ""


def _in_file(path: Path, averaged: bool) -> OfRun:
    """Return the model of a file of ablate, which contains its run, or of the paper, which has characteristic names."""
    found = weight_files.content(path)
    weights = weight_files.tensors(found, path, averaged=averaged)
    if isinstance(found, Mapping) and "run" in found:
        return _own(found, weights, path)
    if released.is_released(weights):
        run, channels, classes = released.describe(weights)
        run = run.replace(dataset=DEIT["dataset"], eval_crop=DEIT["eval_crop"])
        return OfRun(run, channels, classes, weights, path, weight_files.has_checksums(path))
    raise SpecError(f"{path} does not contain the name of its model; use evaluate MODEL --weights {path}")


def _own(found: Mapping[str, Any], weights: weight_files.Weights, path: Path) -> OfRun:
    try:
        run, channels, classes = Run.from_dict(found["run"]), int(found["channels"]), len(found["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{path} is not a weight file of this version of ablate: {error}") from None
    return OfRun(run, channels, classes, weights, path, weight_files.has_checksums(path))


def _classes_in(weights: weight_files.Weights, model: nn.Module) -> int:
    """Return the number of classes in the head of weights; that of the model if they have no head."""
    own = getattr(model, "num_classes", 0)
    name = getattr(model, "default_cfg", {}).get("classifier")
    head = weights.get(f"{name}.weight") if isinstance(name, str) else None
    return int(head.shape[0]) if isinstance(head, torch.Tensor) else int(own)
