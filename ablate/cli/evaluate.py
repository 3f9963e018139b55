"""The command that evaluates a model: a part of a data set, each picture once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json

if TYPE_CHECKING:
    import torch

    from ablate.train.evaluate import Outcome
    from ablate.zoo.assess import EvalOptions
    from ablate.zoo.candidates import OfRun, OfTimm


class Part(StrEnum):
    """A part of a data set."""

    test = "test"
    heldout = "heldout"
    train = "train"


class Precision(StrEnum):
    """Arithmetic of the forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def evaluate(
    target: Annotated[
        str,
        typer.Argument(metavar="MODEL|CHECKPOINT|RUN", help="A model of timm's, a file of weights, or a run's key."),
    ],
    data: Annotated[
        str, typer.Option(metavar="NAME[=PATH]", help="The data set, and where it lies; by default that of the run.")
    ] = "",
    part: Annotated[Part, typer.Option(help="Part of the data set.")] = Part.test,
    weights: Annotated[Path | None, typer.Option(help="File of weights for MODEL, which are random otherwise.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Let timm download MODEL's weights.")] = False,
    ema: Annotated[bool, typer.Option("--ema", help="Take the averaged weights instead of the last ones.")] = False,
    batch_size: Annotated[int, typer.Option(help="Pictures of one forward pass.")] = 64,
    workers: Annotated[int, typer.Option(help="Processes that decode pictures.")] = 0,
    device: Annotated[
        str, typer.Option(help="auto: the first CUDA device, else the CPU; or a device's name.")
    ] = "auto",
    precision: Annotated[
        Precision | None, typer.Option(help="Arithmetic; by default that of the run, else fp32.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels.")] = None,
    eval_crop: Annotated[float | None, typer.Option(help="Centre crop, as a fraction of the resized side.")] = None,
    as_json: Json = False,
    root: Folder = None,
) -> None:
    """Print top-1, top-5 and loss of a model over a part of a data set, each picture once.

    Example: ablate evaluate linear-tiny-checkpoint.pth --data imagenet=PATH
    Example: ablate evaluate vit_tiny_patch16_224 --pretrained --data imagenet=PATH
    Example: ablate evaluate 08e4f74ab3
    """
    from ablate.store.root import Root
    from ablate.zoo.assess import EvalOptions, assess
    from ablate.zoo.candidates import find

    _check(batch_size, workers, image_size, eval_crop)
    found = find(target, Root.at(root), averaged=ema and weights is None)
    found = _with_options(found, weights, ema=ema, pretrained=pretrained)
    dataset, place = _dataset(data, found)
    asked = EvalOptions(
        dataset=dataset,
        data=place,
        part=part.value,
        batch_size=batch_size,
        workers=workers,
        device=_device(device),
        precision=precision.value if precision else None,
        image_size=image_size,
        eval_crop=eval_crop,
    )
    outcome, facts = assess(found, asked)
    _print(target, asked, outcome, facts, as_json=as_json)


def _check(batch_size: int, workers: int, image_size: int | None, eval_crop: float | None) -> None:
    from ablate.spec.errors import SpecError

    numbers = (("--batch-size", batch_size, 1), ("--workers", workers, 0), ("--image-size", image_size, 1))
    for option, value, least in numbers:
        if value is not None and value < least:
            raise SpecError(f"{option} is {value}; wanted is {least} or more")
    if eval_crop is not None and not 0 < eval_crop <= 1:
        raise SpecError(f"--eval-crop is {eval_crop:g}; wanted is above 0, at most 1")


def _with_options(found: OfRun | OfTimm, weights: Path | None, *, ema: bool, pretrained: bool) -> OfRun | OfTimm:
    """A model of timm's with the weights asked for; a file's or a run's has its own."""
    from dataclasses import replace

    from ablate.spec.errors import SpecError
    from ablate.zoo.candidates import OfRun

    if isinstance(found, OfRun):
        if weights is not None or pretrained:
            option = "--pretrained" if pretrained else "--weights"
            raise SpecError(f"{option} is for a model of timm's; {found.path} holds weights of its own")
        return found
    if weights is not None and pretrained:
        raise SpecError("--weights and --pretrained are both given; wanted is one of them")
    if ema and weights is None:
        raise SpecError(f"--ema is given, and {found.name} without --weights has no averaged weights")
    return replace(found, path=weights, averaged=ema, pretrained=pretrained)


def _dataset(data: str, found: OfRun | OfTimm) -> tuple[str, dict[str, str]]:
    """The data set's name, and where it lies if that was said."""
    from ablate.spec.errors import SpecError
    from ablate.zoo.candidates import OfRun

    name, equals, path = data.partition("=")
    if data and not (name and (path or not equals)):
        raise SpecError(f"--data is {data!r}; wanted is NAME=PATH, or NAME")
    if not name and isinstance(found, OfRun):
        name = found.run.dataset
    if not name:
        raise SpecError("there is no --data; wanted is --data NAME=PATH, the pictures to evaluate on")
    return name, {name: str(Path(path).absolute())} if path else {}


def _device(name: str) -> torch.device:
    import torch

    from ablate.spec.errors import SpecError

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SpecError(f"--device is {name!r}: {str(error).splitlines()[0]}; wanted is auto, cpu or cuda") from None
    return device


def _print(target: str, asked: EvalOptions, outcome: Outcome, facts: dict[str, Any], *, as_json: bool) -> None:
    numbers = {"n": len(outcome.correct), "top1": outcome.top1, "top5": outcome.top5, "loss": outcome.loss}
    if as_json:
        where = {"model": target, "dataset": asked.dataset, "part": asked.part, "device": str(asked.device)}
        print_json(where | numbers | facts)
        return
    head = ("MODEL", "DATA", "PART", "N", "TOP-1", "TOP-5", "LOSS")
    cells = (f"{numbers['n']:,}", f"{outcome.top1:.2f}", f"{outcome.top5:.2f}", f"{outcome.loss:.4f}")
    print_columns([head, (Path(target).name, asked.dataset, asked.part, *cells)])
    typer.echo(f"weights: {facts['weights']}")
    if facts["broken"]:
        typer.echo(f"{facts['broken']:,} of them could not be decoded, and a grey picture stood for each")


COMMANDS = {"evaluate": evaluate}
