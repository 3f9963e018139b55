"""How the time of a token mixer grows with the number of tokens.

    python benchmarks/sequence_length.py                  # a small model on the CPU, about a minute
    python benchmarks/sequence_length.py --device cuda    # wider, up to 9,216 tokens

The mixer of one block alone, forward pass without gradients, batch 1. Prints the median of n repeats in milliseconds
for every number of tokens, and the exponent of a power law fitted to the larger half of the sizes (below them what a
call costs anyhow hides what its work costs), beside that of the MACs by formula: patch_ff is linear in the tokens with
a fixed hidden width and quadratic with a ratio.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import timm
import torch

from ablate.formula import formula
from ablate.models import build
from ablate.spec import MIXERS, Run

PATCH = 4
VARIANTS = {
    "attention": {"mixer": "attention"},
    "patch_ff, ratio 1": {"mixer": "patch_ff", "token_ratio": 1.0},
    "patch_ff, width 256": {"mixer": "patch_ff", "token_hidden": 256},
}


def run_of(variant: str, side: int, dim: int) -> Run:
    """One block on side × side patches, averaged."""
    shape = {"image_size": PATCH * side, "patch_size": PATCH, "dim": dim, "depth": 1, "heads": 4, "pool": "avg"}
    return Run.of(shape | VARIANTS[variant])


def milliseconds(call: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    """Wall times of a call, after two that are not counted."""
    times = []
    for _ in range(repeats + 2):
        _wait(device)
        started = time.perf_counter()
        call()
        _wait(device)
        times.append(1000 * (time.perf_counter() - started))
    return times[2:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mixer_time(run: Run, repeats: int, device: torch.device) -> float:
    """Median time of the block's mixer alone, in milliseconds."""
    torch.manual_seed(0)
    mixer = build(run, 3, 10).blocks[0].attn.eval().to(device)
    tokens = torch.randn(1, run.tokens, run.dim, device=device)
    with torch.inference_mode():
        return statistics.median(milliseconds(lambda: mixer(tokens), repeats, device))


def mixer_macs(run: Run) -> int:
    """MACs of the mixer for one image."""
    found = formula(MIXERS.path(run.mixer), "macs")
    assert found is not None
    return int(found(run, run.tokens))


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Slope of a straight line through the logarithms of the larger half."""
    half = len(sizes) // 2
    return statistics.linear_regression([math.log(s) for s in sizes[half:]], [math.log(v) for v in values[half:]]).slope


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sides", type=int, nargs="+", help="patches along a side, in rising order")
    parser.add_argument("--dim", type=int)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    large = device.type == "cuda"
    sides = given.sides or ([16, 24, 32, 48, 64, 96] if large else [8, 12, 16, 24, 32, 48])
    name = torch.cuda.get_device_name(device) if large else f"{platform.processor() or platform.machine()} CPU"
    print(f"{name}, {given.threads} CPU threads; torch {torch.__version__}, timm {timm.__version__}, ", end="")
    print(f"Python {platform.python_version()}; n={given.repeats}, fp32, mixer alone, batch 1")
    tokens = [side**2 for side in sides]
    print(f"{'median ms at tokens':22}" + "".join(f"{n:>9,}" for n in tokens) + f"{'exponent':>10}{'of MACs':>9}")
    for variant in VARIANTS:
        runs = [run_of(variant, side, given.dim or (384 if large else 64)) for side in sides]
        times = [mixer_time(run, given.repeats, device) for run in runs]
        fitted, expected = exponent(tokens, times), exponent(tokens, [mixer_macs(run) for run in runs])
        print(f"{variant:22}" + "".join(f"{t:9.2f}" for t in times) + f"{fitted:10.2f}{expected:9.2f}", flush=True)


if __name__ == "__main__":
    main()
