"""What `ablate evaluate` does: a model on a part of a dataset, each image once, prepared as the model wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ablate.data.datasets import Part, source
from ablate.data.images import Images
from ablate.data.open import open_images
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.train.evaluate import Outcome, evaluate
from ablate.zoo.candidates import OfRun, OfTimm, check_classes
from ablate.zoo.timm_images import TimmImages


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is evaluated on, and how; None keeps what the model says.

    Args:
        dataset: its name.
        data: where it lies, if that was said.
        part: of the dataset.
        batch_size: images of one forward pass.
        workers: processes that decode images.
        precision: arithmetic of the forward pass; a model of timm's says fp32.
        image_size: side of the images, pixels.
        eval_crop: centre crop, as a fraction of the resized side.
    """

    dataset: str
    device: torch.device
    data: dict[str, str] = field(default_factory=dict)
    part: Part = "test"
    batch_size: int = 64
    workers: int = 0
    precision: str | None = None
    image_size: int | None = None
    eval_crop: float | None = None


def assess(candidate: OfRun | OfTimm, asked: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """The outcome, and the facts it depends on.

    Raises:
        SpecError: when the model and the data do not go together.
    """
    return _of_run(candidate, asked) if isinstance(candidate, OfRun) else _of_timm(candidate, asked)


def _of_run(candidate: OfRun, asked: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """A run's model, on images prepared as the run says."""
    changes: dict[str, Any] = {"image_size": asked.image_size, "eval_crop": asked.eval_crop}
    given = {name: value for name, value in changes.items() if value is not None}
    if asked.part == "test":
        given["holdout"] = 0.0  # what is held out of the rest need not fit another dataset
    run = candidate.run.replace(**given, dataset=asked.dataset, batch_size=asked.batch_size, mixup=0.0, cutmix=0.0)
    images, facts = _open(run, asked)
    check_classes(str(candidate.path), candidate.classes, len(images.classes))
    if images.channels != candidate.channels:
        raise SpecError(
            f"{candidate.path} wants images of {candidate.channels} channels; {run.dataset}'s have {images.channels}"
        )
    n = _not_empty(asked, images.sizes[asked.part])
    model = replace(candidate, run=run).model().to(asked.device)
    precision = asked.precision or run.precision
    outcome = evaluate(model, images.evaluation(asked.part), n, precision)
    return outcome, {
        "image_size": run.image_size,
        "eval_crop": run.eval_crop,
        "precision": precision,
        "weights": candidate.source,
        "classes": candidate.classes,
        "fingerprint": facts["fingerprint"],
        "broken": len(images.corrupt),
    }


def _open(run: Run, asked: EvalOptions) -> tuple[Images, dict[str, Any]]:
    """The run's data; a batch may be larger here than the part that is trained on."""
    resources = Resources(workers=asked.workers, data=asked.data)
    images, facts = open_images(run.replace(batch_size=1), resources, asked.device)
    images.run = run
    return images, facts


def _of_timm(candidate: OfTimm, asked: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """A model of timm's, on images prepared as its own configuration says."""
    module, location = source(asked.dataset, asked.data)
    data = module.load(Run(dataset=asked.dataset), location)
    n = _not_empty(asked, len(data.parts[asked.part]))
    with _sized(candidate, asked.image_size):
        model = candidate.model(len(data.classes), asked.image_size).to(asked.device)
        images = TimmImages(data, asked.part, model, image_size=asked.image_size, eval_crop=asked.eval_crop)
        if asked.image_size is not None:
            _try(model, images.config["input_size"], asked.device)
    precision = asked.precision or "fp32"
    outcome = evaluate(model, images.batches(asked.batch_size, asked.workers, asked.device), n, precision)
    return outcome, {
        "image_size": images.config["input_size"][-1],
        "eval_crop": images.config["crop_pct"],
        "precision": precision,
        "weights": candidate.source,
        "classes": len(data.classes),
        "fingerprint": module.fingerprint(location),
        "broken": len(images.corrupt),
    }


@contextmanager
def _sized(candidate: OfTimm, size: int | None) -> Iterator[None]:
    """What a model of timm's raises at a size it cannot take, which may be anything, as a sentence."""
    try:
        yield
    except (SpecError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if size is None:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError(
            f"{candidate.name} cannot take images of {size} pixels: {reason}; wanted is another --image-size"
        ) from None


@torch.inference_mode()
def _try(model: nn.Module, shape: tuple[int, int, int], device: torch.device) -> None:
    """Show a model a black image."""
    model.eval()(torch.zeros(1, *shape, device=device))


def _not_empty(asked: EvalOptions, n: int) -> int:
    if not n:
        raise SpecError(f"part {asked.part} of {asked.dataset} has no image; it has one where a run's holdout is not 0")
    return n
