"""The command that evaluates a model on a dataset split, each image once."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.train import devices

if TYPE_CHECKING:
    from ablate.train.evaluate import Outcome
    from ablate.zoo.assess import EvalOptions
    from ablate.zoo.candidates import OfRun, OfTimm


class Split(StrEnum):
    """A split of a dataset."""

    test = "test"
    heldout = "heldout"
    train = "train"


class Precision(StrEnum):
    """Precision of the forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


MODEL, EXECUTION = "Model", "Execution"  # groups of options


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|CHECKPOINT|RUN", help="Name of a timm model, path of a checkpoint, or key of a run."
        ),
    ],
    data: Annotated[
        str, typer.Option(metavar="NAME[=PATH]", help="Dataset, and its path; by default the dataset of the run.")
    ] = "",
    split: Annotated[Split, typer.Option(help="Split of the dataset.")] = Split.test,
    root: Folder = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="File with weights for MODEL; by default they are random.", rich_help_panel=MODEL),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the pretrained weights of MODEL.", rich_help_panel=MODEL)
    ] = False,
    ema: Annotated[bool, typer.Option("--ema", help="Use the averaged weights (EMA).", rich_help_panel=MODEL)] = False,
    image_size: Annotated[
        int | None,
        typer.Option(help="Side of the images, in pixels; by default that of the model.", rich_help_panel=MODEL),
    ] = None,
    eval_crop: Annotated[
        float | None,
        typer.Option(
            help="Side of the centre crop over the resized side; by default that of the model.", rich_help_panel=MODEL
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images per forward pass.", rich_help_panel=EXECUTION)] = 64,
    workers: Annotated[int, typer.Option(help="Loader processes.", rich_help_panel=EXECUTION)] = 0,
    device: Annotated[
        str,
        typer.Option(
            help="auto (the first CUDA device, else the CPU) or the name of a torch device.", rich_help_panel=EXECUTION
        ),
    ] = "auto",
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Precision of the forward pass; by default that of the run, else fp32.", rich_help_panel=EXECUTION
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on a dataset split (exact top-1 and top-5).

    Examples:
        ablate evaluate linear-tiny-checkpoint.pth --data imagenet=PATH
        ablate evaluate vit_tiny_patch16_224 --pretrained --data imagenet=PATH
        ablate evaluate 08e4f74ab3
    """
    from ablate.zoo.assess import EvalOptions, assess
    from ablate.zoo.candidates import find

    devices.check(device)
    _check(batch_size, workers, image_size, eval_crop)
    found = find(target, Root.at(root), averaged=ema and weights is None)
    found = _with_options(found, weights, ema=ema, pretrained=pretrained)
    dataset, path = _dataset(data, found)
    options = EvalOptions(
        dataset=dataset,
        data=path,
        part=split.value,
        batch_size=batch_size,
        workers=workers,
        device=devices.find(device),
        precision=precision.value if precision else None,
        image_size=image_size,
        eval_crop=eval_crop,
    )
    outcome, facts = assess(found, options)
    _print(target, options, outcome, facts, as_json=as_json)


def _check(batch_size: int, workers: int, image_size: int | None, eval_crop: float | None) -> None:
    limits = (("--batch-size", batch_size, 1), ("--workers", workers, 0), ("--image-size", image_size, 1))
    for option, value, least in limits:
        if value is not None and value < least:
            raise SpecError(f"{option} must be {least} or more, got {value}")
    if eval_crop is not None and not 0 < eval_crop <= 1:
        raise SpecError(f"--eval-crop must be above 0 and at most 1, got {eval_crop:g}")


def _with_options(found: OfRun | OfTimm, weights: Path | None, *, ema: bool, pretrained: bool) -> OfRun | OfTimm:
    """Return a timm model with the requested weights; a checkpoint or a run has its own."""
    from ablate.spec.errors import SpecError
    from ablate.zoo.candidates import OfRun

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
    from ablate.spec.errors import SpecError
    from ablate.zoo.candidates import OfRun

    name, equals, path = data.partition("=")
    if data and not (name and (path or not equals)):
        raise SpecError(f"--data must be NAME or NAME=PATH, got {data!r}")
    if not name and isinstance(found, OfRun):
        name = found.run.dataset
    if not name:
        raise SpecError("evaluate needs a dataset; add --data NAME=PATH")
    return name, {name: str(Path(path).absolute())} if path else {}


def _print(target: str, options: EvalOptions, outcome: Outcome, facts: dict[str, Any], *, as_json: bool) -> None:
    numbers = {"n": len(outcome.correct), "top1": outcome.top1, "top5": outcome.top5, "loss": outcome.loss}
    if as_json:
        where = {"model": target, "dataset": options.dataset, "split": options.part, "device": str(options.device)}
        print_json(where | numbers | facts)
        return
    head = ("MODEL", "DATA", "SPLIT", "N", "TOP-1", "TOP-5", "LOSS")
    cells = (f"{numbers['n']:,}", f"{outcome.top1:.2f}", f"{outcome.top5:.2f}", f"{outcome.loss:.4f}")
    print_columns([head, (Path(target).name, options.dataset, options.part, *cells)])
    unchecked = "" if facts["weights_checked"] else " (unchecked: the file has no checksums)"
    typer.echo(f"weights: {facts['weights']}{unchecked}")
    if not math.isfinite(outcome.loss):
        typer.echo("some logits are not finite, so the accuracy means nothing; try --precision fp32, or other weights")
    if facts["broken"]:
        typer.echo(f"{facts['broken']:,} images could not be decoded and were replaced by grey ones")
