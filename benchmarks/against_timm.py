"""Nine short runs on the digits: `ablate run quickstart` compared with a shell loop over timm's train.py.

    python benchmarks/against_timm.py --script PATH/TO/timm/train.py

timm's script is not in its wheel: take it from a checkout of its repository. Both train a ViT of the same size (the
three variants of ours differ, timm's nine runs are of the attention model) for the same number of epochs and images
on one thread each; ours runs two at a time on two cores, as it does by default, and the loop one after the other with
one or two threads (--threads). timm reads the digits as PNG files, which this script writes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from ablate import load
from ablate.data.datasets import digits


def write_images(folder: Path) -> None:
    """Write the digits' training and held-out splits as train/CLASS/N.png and validation/CLASS/N.png."""
    data = digits.load(load("quickstart").runs()[0])
    for part, name in (("train", "train"), ("heldout", "validation")):
        for index in data.parts[part]:
            path = folder / name / str(data.labels[index]) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(data.images[index, ..., 0]).convert("RGB").save(path)


def timm_command(script: Path, data: Path, output: Path, seed: int) -> list[str]:
    """One run of timm's script with the quickstart's model and recipe, as closely as its options allow."""
    run = load("quickstart").runs()[0]
    size, patch = run.image_size, run.patch_size
    model = {"img_size": size, "patch_size": patch, "embed_dim": run.dim, "depth": run.depth, "num_heads": run.heads}
    options = {
        "model": "vit_tiny_patch16_224", "num-classes": 10, "opt": run.opt, "lr": run.lr, "epochs": run.epochs,
        "weight-decay": run.weight_decay, "batch-size": run.batch_size, "warmup-epochs": run.warmup_epochs,
        "smoothing": run.smoothing, "workers": 0, "hflip": 0, "color-jitter": 0, "cooldown-epochs": 0, "seed": seed,
        "output": output, "device": "cpu", "checkpoint-hist": 1, "log-interval": 1000,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    kwargs = [f"{name}={value}" for name, value in (model | {"mlp_ratio": run.mlp_ratio}).items()]
    sizes = ["--input-size", "3", str(size), str(size)]
    return [sys.executable, str(script), "--data-dir", str(data), *words, *sizes, "--model-kwargs", *kwargs]


def main() -> None:
    """Print both wall times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="timm's train.py")
    parser.add_argument("--runs", type=int, default=9, help="runs of timm's script")
    parser.add_argument("--threads", type=int, default=1, help="threads of timm's runs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "digits")
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ablate", "run", "quickstart", "--root", name], check=True)
        ours = time.perf_counter() - started
        environment = os.environ | {"OMP_NUM_THREADS": str(chosen.threads)}
        started = time.perf_counter()
        for seed in range(chosen.runs):
            command = timm_command(chosen.script, folder / "digits", folder / "output", seed)
            subprocess.run(command, check=True, env=environment, capture_output=True)
        theirs = time.perf_counter() - started
    print(f"ablate run quickstart, 9 runs, start-up, table and report included: {ours:.0f} s")
    print(f"loop over timm's train.py, {chosen.runs} runs, {chosen.threads} thread(s): {theirs:.0f} s")


if __name__ == "__main__":
    main()
