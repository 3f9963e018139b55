"""CIFAR-10 with attention and with a feed-forward layer over patches: a recipe chosen, then 3 seeds of each.

    python benchmarks/cifar10.py --data PATH                 # narrow models, a few images, 2 epochs: a test run
    python benchmarks/cifar10.py --data PATH --device cuda --whole --root .

1. Every requested learning rate and number of epochs is tried with both mixers on the training split without a
   held-out tenth (5,000 images of the whole set). The recipe with the best mean held-out top-1 of both is chosen.
   The test split is not used; records of these trials are in ROOT/runs/cifar10-trials.
2. Both mixers are trained with it on the whole training split, with each seed. Their records are in ROOT/results, and
   the table shows the last epoch's top-1 on the test split.

Runs with a record are not trained again, so the same command resumes after an interruption or --minutes.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from _measuring import conditions, table

# isort: split
import torch
from _files import write_cifar

from ablate import CIFAR10, Run
from ablate.results.stats import t_interval
from ablate.spec.resources import Resources
from ablate.store import records
from ablate.train.execute import execute

MIXERS = ("attention", "patch_ff")
HELD_OUT = 0.1
Train = Callable[[Run, Path], records.Record]


class OutOfTimeError(Exception):
    """No time is left for another run."""


def base(chosen: argparse.Namespace) -> Run:
    """The scale CIFAR10 as it is, or in small: narrow models, few images."""
    if chosen.whole:
        return Run.from_dict(CIFAR10.fields)
    data = {"dataset": "pictures", "loader": "resident", "batch_size": 50, "precision": "fp32"}
    return Run.from_dict({**CIFAR10.fields, **data, "dim": 64, "heads": 2, "depth": 2, "epochs": 2, "warmup_epochs": 0})


def trainer(resources: Resources, deadline: float) -> Train:
    """Return a function that reads a run's record, or trains the run."""
    longest = 0.0

    def train(run: Run, results: Path) -> records.Record:
        nonlocal longest
        path = records.path_of(results, run)
        if not path.exists():
            if time.monotonic() + longest > deadline:
                raise OutOfTimeError
            started = time.monotonic()
            records.write(results, execute(run, resources))
            longest = max(longest, time.monotonic() - started)
        return records.read(path)

    return train


def choose(chosen: argparse.Namespace, train: Train, folder: Path) -> Run:
    """Try every recipe on the held-out split; return the best, as a run of the first mixer."""
    recipes = list(itertools.product(chosen.lrs, chosen.epochs))
    tried: dict[tuple[float, int], list[float]] = {recipe: [] for recipe in recipes}

    def rows() -> Iterator[Sequence[object]]:
        for lr, epochs in recipes:
            for mixer in MIXERS:
                run = base(chosen).replace(mixer=mixer, holdout=HELD_OUT, lr=lr, epochs=epochs)
                tried[lr, epochs].append(train(run, folder).metrics["heldout_top1"])
            held_out = tried[lr, epochs]
            yield f"{lr:g}", epochs, *(f"{top1:.2f}" for top1 in held_out), f"{statistics.mean(held_out):.2f}"

    print("Held-out top-1 by recipe, one seed:\n")
    table(("lr", "epochs", *MIXERS, "mean"), rows())
    lr, epochs = max(recipes, key=lambda recipe: statistics.mean(tried[recipe]))
    print(f"Chosen on the held-out part: lr {lr:g}, {epochs} epochs\n")
    return base(chosen).replace(lr=lr, epochs=epochs)


def final(chosen: argparse.Namespace, run: Run, train: Train, results: Path) -> None:
    """Train both mixers with every seed and print their accuracy on the test split."""

    def rows() -> Iterator[Sequence[object]]:
        for mixer in MIXERS:
            found = [train(run.replace(mixer=mixer, seed=seed), results) for seed in range(chosen.seeds)]
            top1 = [record.metrics["top1"] for record in found]
            interval = t_interval(top1)
            width = f"{interval.mean:.2f}" + (f" ± {interval.half:.2f}" if interval.half is not None else "")
            speed = statistics.median(record.cost["images_per_s"] for record in found)
            params = f"{found[0].complexity['params'] / 1e6:.2f}M"
            yield mixer, params, width, ", ".join(f"{one:.2f}" for one in top1), found[0].metrics["n"], f"{speed:,.0f}"

    print(f"Test top-1 after {run.epochs} epochs, 95 % t interval over {chosen.seeds} seeds:\n")
    table(("mixer", "params", "top-1", "by seed", "n", "training images/s"), rows())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="path of CIFAR-10")
    parser.add_argument("--whole", action="store_true", help="the whole set and the recipe's own batch, not a few")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--images", type=int, default=300, help="to train on, without --whole")
    parser.add_argument("--lrs", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3])
    parser.add_argument("--epochs", type=int, nargs="+", help="2, or with --whole those of CIFAR10")
    parser.add_argument("--seeds", type=int, help="1, or with --whole 3")
    parser.add_argument("--compile", action="store_true", help="run the models through torch.compile")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run that may end later")
    parser.add_argument("--root", type=Path, help="where records are kept; by default nowhere")
    chosen = parser.parse_args()
    chosen.epochs = chosen.epochs or [CIFAR10.fields["epochs"] if chosen.whole else 2]
    chosen.seeds = chosen.seeds or (3 if chosen.whole else 1)
    torch.set_num_threads(chosen.threads)
    print(conditions(torch.device(chosen.device)))
    deadline = time.monotonic() + 60 * chosen.minutes
    with tempfile.TemporaryDirectory() as name:
        root, place = chosen.root or Path(name), chosen.data
        if not chosen.whole:
            place = Path(name) / "pictures"
            write_cifar(chosen.data, place, chosen.images, 100)
        data = {base(chosen).dataset: str(place)}
        resources = Resources(threads=chosen.threads, device=chosen.device, data=data, compile=chosen.compile)
        train = trainer(resources, deadline)
        try:
            run = choose(chosen, train, root / "runs" / "cifar10-trials")
            final(chosen, run, train, root / "results")
        except OutOfTimeError:
            print("\nOut of time; give the same command again for the rest.")


if __name__ == "__main__":
    main()
