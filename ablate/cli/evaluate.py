"""The command that evaluates a model on a dataset split, each image once."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json

if TYPE_CHECKING:
    from ablate.zoo.evaluation import Evaluation


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
    from ablate.zoo.evaluation import evaluate as run  # here, since torch imports slowly

    found = run(
        target,
        data,
        split=split.value,
        weights=weights,
        pretrained=pretrained,
        ema=ema,
        image_size=image_size,
        eval_crop=eval_crop,
        batch_size=batch_size,
        workers=workers,
        device=device,
        precision=precision.value if precision else None,
        root=root,
    )
    print_json(found.as_data()) if as_json else _print(found)


def _print(found: Evaluation) -> None:
    options, outcome, facts = found.options, found.outcome, found.facts
    head = ("MODEL", "DATA", "SPLIT", "N", "TOP-1", "TOP-5", "LOSS")
    cells = (f"{len(outcome.correct):,}", f"{outcome.top1:.2f}", f"{outcome.top5:.2f}", f"{outcome.loss:.4f}")
    print_columns([head, (Path(found.model).name, options.dataset, options.part, *cells)])
    unchecked = "" if facts["weights_checked"] else " (unchecked: the file has no checksums)"
    typer.echo(f"weights: {facts['weights']}{unchecked}")
    if not math.isfinite(outcome.loss):
        typer.echo("some logits are not finite, so the accuracy means nothing; try --precision fp32, or other weights")
    if facts["broken"]:
        typer.echo(f"{facts['broken']:,} images could not be decoded and were replaced by grey ones")
