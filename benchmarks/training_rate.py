"""Training images/s of this suite's loop compared with timm's train.py: same machine, model, batch and precision.

    python benchmarks/training_rate.py --script PATH/TO/timm/train.py
    python benchmarks/training_rate.py --script … --cifar PATH                  # CIFAR-10 at 32 pixels too
    python benchmarks/training_rate.py --script … --cifar PATH --device cuda    # random images, compiled too

timm's script is not in its wheel: take it from a checkout of its repository. A window is an epoch, the first of which
is not counted; ours is timed by what `fit` reports, timm's by its own log. Both read the same PNG files, ours decoded
once and kept (that is not counted), timm's decoded every time by --workers processes. Random images are one batch
that is on the device already, so that loops are compared without loaders.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from _files import write_cifar
from _measuring import Rate, conditions, table, timms_rate, windows
from against_timm import write_images

# isort: split
import torch

from ablate import CIFAR10, DIGITS, Run
from ablate.data.open import open_images
from ablate.spec.recipes import SIZES
from ablate.spec.resources import Resources
from ablate.train.learner import Learner
from ablate.train.loop import fit

HERE = Path(__file__).resolve().parent
Row = tuple[str, ...]


def our_rate(run: Run, folder: Path | None, resources: Resources, device: torch.device) -> Rate:
    """Images per second of `fit`, one window per epoch; the first is not counted."""
    data = {run.dataset: str(folder)} if folder else {}
    given = Resources(**{**resources.to_dict(), "data": data})
    images, _ = open_images(run, given, device)
    ends: list[float] = []

    def report(state: dict[str, Any]) -> None:
        if state["step"] == 0:  # an epoch has ended, and the device was waited for
            ends.append(time.perf_counter())

    fit(run, images, device, report, given)
    count = images.steps * run.batch_size
    return Rate([count / (end - start) for start, end in pairwise(ends)])


def words(run: Run, chosen: argparse.Namespace, **more: Any) -> list[object]:
    """timm's options for the same model and recipe, as closely as possible."""
    options = {
        "model": "vit_tiny_patch16_224", "num-classes": 10, "opt": run.opt, "lr": run.lr, "epochs": run.epochs,
        "weight-decay": run.weight_decay, "batch-size": run.batch_size, "warmup-epochs": 0, "smoothing": run.smoothing,
        "hflip": run.hflip, "color-jitter": 0, "cooldown-epochs": 0, "seed": 0, "device": chosen.device,
        "workers": chosen.workers, "mixup": run.mixup, "cutmix": run.cutmix, "drop-path": run.drop_path,
        "checkpoint-hist": 1, "gp": "avg" if run.pool == "avg" else "token", "val-split": "",
        "log-interval": 10_000, "mean": "0.5 0.5 0.5", "std": "0.5 0.5 0.5",
    } | more  # fmt: skip
    model = {"img_size": run.image_size, "patch_size": run.patch_size, "embed_dim": run.dim, "depth": run.depth}
    model |= {"num_heads": run.heads, "mlp_ratio": run.mlp_ratio}
    if run.pool == "avg":
        model |= {"class_token": False, "fc_norm": not run.norm_before_pool}
    found = [word for name, value in options.items() for word in (f"--{name}", *str(value).split(" "))]
    found += ["--input-size", 3, run.image_size, run.image_size, "--model-kwargs"]
    found += [f"{name}={value}" for name, value in model.items()]
    return [*found, *(["--amp", "--amp-dtype", "bfloat16"] if run.precision == "bf16" else [])]


def compared(what: str, run: Run, ours: Rate, theirs: Rate | None) -> Row:
    """A row: both rates and their ratio."""
    return (
        what,
        run.precision,
        str(run.batch_size),
        str(ours),
        str(theirs) if theirs else "not measured",
        f"{ours.median / theirs.median:.2f}" if theirs else "–",
    )


def digits(chosen: argparse.Namespace, device: torch.device, folder: Path) -> Row:
    """The digits on 12×12 pixels, the quickstart's attention model."""
    run = Run.from_dict({**DIGITS.fields, "pool": "avg", "epochs": chosen.epochs, "warmup_epochs": 0})
    theirs = None
    if chosen.script:
        write_images(folder / "digits")
        theirs = timms_rate(chosen.script, _where(folder / "digits", folder, words(run, chosen)), chosen.threads)
    ours = our_rate(run, None, Resources(threads=chosen.threads), device)
    return compared("digits, 12 pixels, ViT 48×3", run, ours, theirs)


def _where(data: Path, output: Path, found: list[object]) -> list[object]:
    return ["--data-dir", data, "--output", output / "output", *found]


def cifar(chosen: argparse.Namespace, device: torch.device, folder: Path) -> Row:
    """CIFAR-10 at 32 pixels, the requested number of images, in PNG files."""
    write_cifar(chosen.cifar, folder / "cifar", chosen.images, 100)
    more = {"dataset": "pictures", "loader": "resident", "crop_padding": 0, "crop_min_area": 0.08, "warmup_epochs": 0}
    run = Run.from_dict({**CIFAR10.fields, **more, "epochs": chosen.epochs, "batch_size": chosen.batch_size or 128})
    run = run.replace(precision="bf16" if device.type == "cuda" else "fp32")
    theirs = None
    if chosen.script:
        theirs = timms_rate(chosen.script, _where(folder / "cifar", folder, words(run, chosen)), chosen.threads)
    ours = our_rate(run, folder / "cifar", Resources(threads=chosen.threads), device)
    return compared(f"CIFAR-10, {chosen.images:,} images, 32 pixels, ViT-Lite-7/4", run, ours, theirs)


def random_images(chosen: argparse.Namespace, device: torch.device, folder: Path) -> Iterator[Row]:
    """ImageNet's shapes, one random batch, eager and, on a GPU, compiled."""
    side = 224 if device.type == "cuda" else chosen.side
    size = chosen.batch_size or (256 if device.type == "cuda" else 8)
    precision = "bf16" if device.type == "cuda" else "fp32"
    fields = {"dataset": "pictures", "image_size": side, "batch_size": size, "epochs": 3, "precision": precision}
    for name in ("tiny", "small") if device.type == "cuda" else ("tiny",):
        run = Run.from_dict({**fields, **SIZES[name]})
        for compile_ in (False, True) if device.type == "cuda" else (False,):
            ours = our_rate_on_random(run, device, chosen.seconds, compile_=compile_)
            theirs = timms_rate_on_random(run, chosen, folder, ours, compile_=compile_) if chosen.script else None
            mode = "compiled" if compile_ else "eager"
            yield compared(f"random images, {side} pixels, DeiT-{name} size, {mode}", run, ours, theirs)


def our_rate_on_random(run: Run, device: torch.device, seconds: float, *, compile_: bool) -> Rate:
    """Images per second of the loop's own step."""
    learner = Learner(run, 3, 1000, device, Resources(compile=compile_))
    learner.net.train()
    batch = torch.randn(run.batch_size, 3, run.image_size, run.image_size, device=device)
    labels = torch.randint(1000, (run.batch_size,), device=device)
    return windows(lambda: learner.step(iter([(batch, labels)]), 0, 0), run.batch_size, device, seconds, 3)


def timms_rate_on_random(run: Run, chosen: argparse.Namespace, folder: Path, ours: Rate, *, compile_: bool) -> Rate:
    """Images per second of timm's train.py on such a batch, in epochs about as long as our windows."""
    steps = max(5, round(chosen.seconds * ours.median / run.batch_size))
    options = words(run, chosen, **{"num-classes": 1000, "epochs": 4})
    more = ["--torchcompile"] if compile_ else []
    through = [HERE / "timm_on_random.py", steps, chosen.device]
    return timms_rate(chosen.script, [*more, *_where(folder, folder, options)], chosen.threads, through)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, help="timm's train.py; without it only ours is measured")
    parser.add_argument("--cifar", type=Path, help="path of CIFAR-10")
    parser.add_argument("--images", type=int, default=256, help="CIFAR-10 images to train on")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of a run, the first not counted")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--workers", type=int, default=0, help="timm's loader processes")
    parser.add_argument("--batch-size", type=int, default=0, help="another than the usual one")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a window with random images")
    parser.add_argument("--side", type=int, default=224, help="of random images on the CPU, pixels")
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    torch.set_num_threads(chosen.threads)
    print(conditions(device, f"timm's loader with {chosen.workers} processes; median (lowest–highest, n windows)"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table(
            ("what is trained", "precision", "batch", "ablate, images/s", "timm's train.py, images/s", "ratio"),
            rows(chosen, device, folder),
        )


def rows(chosen: argparse.Namespace, device: torch.device, folder: Path) -> Iterator[Row]:
    """Yield one row per comparison."""
    if device.type == "cpu":
        yield digits(chosen, device, folder)
    if chosen.cifar:
        yield cifar(chosen, device, folder)
    yield from random_images(chosen, device, folder)


if __name__ == "__main__":
    main()
