"""Evaluation of a model on a part of a dataset, each image once, with the preprocessing of the model."""

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
    """The data and settings of an evaluation; None uses the setting of the model.

    Args:
        dataset: name of the dataset.
        device: device of the evaluation.
        data: paths of datasets by name.
        part: part of the dataset.
        batch_size: images per forward pass.
        workers: loader processes.
        precision: precision of the forward pass; that of timm models is fp32.
        image_size: side of the images, in pixels.
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


def assess(candidate: OfRun | OfTimm, options: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """Return the outcome of an evaluation, and the facts that it depends on.

    Raises:
        SpecError: when the model does not fit the data.
    """
    return _of_run(candidate, options) if isinstance(candidate, OfRun) else _of_timm(candidate, options)


def _of_run(candidate: OfRun, options: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """Evaluate the model of a run, with the preprocessing of the run."""
    changes: dict[str, Any] = {"image_size": options.image_size, "eval_crop": options.eval_crop}
    given = {name: value for name, value in changes.items() if value is not None}
    if options.part == "test":
        given["holdout"] = 0.0  # the holdout of the run need not be possible on another dataset
    run = candidate.run.replace(**given, dataset=options.dataset, batch_size=options.batch_size, mixup=0.0, cutmix=0.0)
    images, facts = _open(run, options)
    check_classes(str(candidate.path), candidate.classes, len(images.classes))
    if images.channels != candidate.channels:
        raise SpecError(
            f"images for {candidate.path} must have {candidate.channels} channels, "
            f"got {images.channels} in {run.dataset}"
        )
    n = _check_size(options, images.sizes[options.part])
    model = replace(candidate, run=run).model().to(options.device)
    precision = options.precision or run.precision
    outcome = evaluate(model, images.evaluation(options.part), n, precision)
    return outcome, {
        "image_size": run.image_size,
        "eval_crop": run.eval_crop,
        "precision": precision,
        "weights": candidate.source,
        "weights_checked": candidate.checked,
        "classes": candidate.classes,
        "fingerprint": facts["fingerprint"],
        "broken": len(images.corrupt),
    }


def _open(run: Run, options: EvalOptions) -> tuple[Images, dict[str, Any]]:
    """Open the data of a run; unlike in training, a batch may be larger than the training part."""
    resources = Resources(workers=options.workers, data=options.data)
    images, facts = open_images(run.replace(batch_size=1), resources, options.device)
    images.run = run
    return images, facts


def _of_timm(candidate: OfTimm, options: EvalOptions) -> tuple[Outcome, dict[str, Any]]:
    """Evaluate a timm model, with the preprocessing of its configuration."""
    module, location = source(options.dataset, options.data)
    data = module.load(Run(dataset=options.dataset), location)
    n = _check_size(options, len(data.parts[options.part]))
    with _explain_size(candidate, options.image_size):
        model = candidate.model(len(data.classes), options.image_size).to(options.device)
        images = TimmImages(data, options.part, model, image_size=options.image_size, eval_crop=options.eval_crop)
        if options.image_size is not None:
            _try(model, images.config["input_size"], options.device)
    precision = options.precision or "fp32"
    outcome = evaluate(model, images.batches(options.batch_size, options.workers, options.device), n, precision)
    return outcome, {
        "image_size": images.config["input_size"][-1],
        "eval_crop": images.config["crop_pct"],
        "precision": precision,
        "weights": candidate.source,
        "weights_checked": candidate.checked,
        "classes": len(data.classes),
        "fingerprint": module.fingerprint(location),
        "broken": len(images.corrupt),
    }


@contextmanager
def _explain_size(candidate: OfTimm, size: int | None) -> Iterator[None]:
    """Convert any error of a timm model at an unsupported image size to a `SpecError`."""
    try:
        yield
    except (SpecError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if size is None:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError(
            f"{candidate.name} cannot process images of {size} pixels: {reason}; change --image-size"
        ) from None


@torch.inference_mode()
def _try(model: nn.Module, shape: tuple[int, int, int], device: torch.device) -> None:
    """Run a model on a black image."""
    model.eval()(torch.zeros(1, *shape, device=device))


def _check_size(options: EvalOptions, n: int) -> int:
    if not n:
        raise SpecError(
            f"part {options.part} of {options.dataset} has no images; the part heldout needs a run with holdout above 0"
        )
    return n
