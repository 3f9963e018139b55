"""The evaluation of a model that is given by its name, its checkpoint or the key of its run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablate.data.datasets import Part
from ablate.spec.errors import SpecError, unknown
from ablate.store.root import Root
from ablate.train import devices
from ablate.train.evaluate import Outcome
from ablate.zoo.assess import EvalOptions, assess
from ablate.zoo.candidates import OfRun, OfTimm, find

SPLITS, PRECISIONS = ("test", "heldout", "train"), ("fp32", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of an evaluation.

    Args:
        model: what was evaluated, as it was given.
        outcome: `top1` and `top5` in percent, `loss`, and for each image whether it is correct.
        facts: what the result depends on, such as the weights and the preprocessing.
    """

    model: str
    options: EvalOptions
    outcome: Outcome
    facts: dict[str, Any]

    def as_data(self) -> dict[str, Any]:
        """Return the evaluation, ready for JSON."""
        options, outcome = self.options, self.outcome
        numbers = {"n": len(outcome.correct), "top1": outcome.top1, "top5": outcome.top5, "loss": outcome.loss}
        where = {"dataset": options.dataset, "split": options.part, "device": str(options.device)}
        return {"model": self.model} | where | numbers | self.facts


def evaluate(
    model: str | Path,
    data: str = "",
    *,
    split: Part = "test",
    weights: str | Path | None = None,
    pretrained: bool = False,
    ema: bool = False,
    image_size: int | None = None,
    eval_crop: float | None = None,
    batch_size: int = 64,
    workers: int = 0,
    device: str = "auto",
    precision: str | None = None,
    root: str | Path | None = None,
) -> Evaluation:
    """Evaluate a model on a dataset split, each image once.

    Args:
        model: name of a timm model, path of a checkpoint, or key of a run.
        data: the dataset, as NAME or NAME=PATH; by default that of the run.
        split: "test", "heldout" or "train".
        weights: file with weights for a timm model; by default they are random.
        pretrained: download the pretrained weights of a timm model.
        ema: use the averaged weights.
        image_size: side of the images, in pixels; None is that of the model.
        eval_crop: side of the centre crop over the resized side; None is that of the model.
        batch_size: images per forward pass.
        workers: loader processes.
        device: "auto" (the first CUDA device, else the CPU) or the name of a torch device.
        precision: "fp32", "bf16" or "fp16"; None is that of the run, else fp32.
        root: the folder with `runs/`; None is ABLATE_ROOT or the current folder.

    Raises:
        SpecError: when there is no such model or data, or they do not fit each other.
    """
    devices.check(device)
    _check(batch_size, workers, image_size, eval_crop)
    for name, value, known in (("split", split, SPLITS), ("precision", precision or "fp32", PRECISIONS)):
        if value not in known:
            raise unknown(name, value, known)
    weights = Path(weights) if weights is not None else None
    found = find(str(model), Root.at(root), averaged=ema and weights is None)
    found = _with_options(found, weights, ema=ema, pretrained=pretrained)
    dataset, path = _dataset(data, found)
    options = EvalOptions(
        dataset=dataset,
        data=path,
        part=split,
        batch_size=batch_size,
        workers=workers,
        device=devices.find(device),
        precision=precision,
        image_size=image_size,
        eval_crop=eval_crop,
    )
    outcome, facts = assess(found, options)
    return Evaluation(model=str(model), options=options, outcome=outcome, facts=facts)


def _check(batch_size: int, workers: int, image_size: int | None, eval_crop: float | None) -> None:
    limits = (("--batch-size", batch_size, 1), ("--workers", workers, 0), ("--image-size", image_size, 1))
    for option, value, least in limits:
        if value is not None and value < least:
            raise SpecError(f"{option} must be {least} or more, got {value}")
    if eval_crop is not None and not 0 < eval_crop <= 1:
        raise SpecError(f"--eval-crop must be above 0 and at most 1, got {eval_crop:g}")


def _with_options(found: OfRun | OfTimm, weights: Path | None, *, ema: bool, pretrained: bool) -> OfRun | OfTimm:
    """Return a timm model with the requested weights; a checkpoint or a run has its own."""
    if isinstance(found, OfRun):
        if weights is not None or pretrained:
            option = "--pretrained" if pretrained else "--weights"
            raise SpecError(f"{option} needs a timm model; {found.path} has its own weights")
        return found
    if weights is not None and pretrained:
        raise SpecError("--weights and --pretrained cannot be combined; choose one")
    if ema and weights is None:
        raise SpecError(f"--ema needs --weights; {found.name} alone has no averaged weights")
    return replace(found, path=weights, averaged=ema, pretrained=pretrained)


def _dataset(data: str, found: OfRun | OfTimm) -> tuple[str, dict[str, str]]:
    """Return the name of the dataset, and its path if that was given."""
    name, equals, path = data.partition("=")
    if data and not (name and (path or not equals)):
        raise SpecError(f"--data must be NAME or NAME=PATH, got {data!r}")
    if not name and isinstance(found, OfRun):
        name = found.run.dataset
    if not name:
        raise SpecError("evaluate needs a dataset; add --data NAME=PATH")
    return name, {name: str(Path(path).absolute())} if path else {}
