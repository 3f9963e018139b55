"""timm's benchmark.py and `ablate bench` on the same models, in turns: images/s of both, and their ratio.

    python benchmarks/against_timm_benchmark.py --script PATH/TO/timm/benchmark.py

timm's script is not in its wheel: take it from a checkout of its repository. Each round starts a process of each for
every model and precision, timm's first in odd rounds. Both take the same model, batch, precision and number of threads,
and AdamW in training; `--theirs-opt sgd` is timm's default. The last column is the ratio's 95 % t interval over rounds.
Where both differ by more than 5 %, docs/measuring.md says why.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ablate.bench.process import PATIENCE_S, Process
from ablate.bench.subjects import of_timm
from ablate.modes import BUDGET, Mode
from ablate.stats import t_interval

PRECISIONS = {"float32": "fp32", "amp_bfloat16": "bf16", "bfloat16": "bf16pure"}  # timm's word and ours
WORK = {"infer": "inference", "train": "training"}


def theirs(given: argparse.Namespace, model: str, precision: str) -> dict[str, float]:
    """Images/s of timm's script, by the word it puts before its results."""
    options = {
        "model": model, "batch-size": given.batch, "precision": precision, "device": given.device,
        "opt": given.theirs_opt, "num-warm-iter": given.warm_up, "num-bench-iter": given.steps, "bench": "both",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
    command = [sys.executable, str(given.script), *words, "--no-retry"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.rpartition("--result")[2])
    return {work: float(found[f"{work}_samples_per_sec"]) for work in WORK}


def ours(given: argparse.Namespace, model: str, precision: str) -> dict[str, float]:
    """Images/s of one window of ours."""
    return {work: _window(given, model, Mode(PRECISIONS[precision], "eager", "nchw", WORK[work])) for work in WORK}


def _window(given: argparse.Namespace, model: str, mode: Mode) -> float:
    (subject,) = of_timm([model])
    with tempfile.TemporaryDirectory() as logs:
        worker = Process(Path(logs) / "log", given.threads)
        try:
            for order in _orders(given, subject.request(), mode):
                worker.send(order)
                answer = worker.receive(PATIENCE_S)
                if order["do"] == "warm_up":
                    step_s = answer["step_s"]
                    worker.send({"do": "window", "seconds": given.steps * step_s, "step_s": step_s, "calls": 0})
                    return float(worker.receive(PATIENCE_S)["window"]["rate"])
        finally:
            worker.close()
    raise AssertionError("a warm-up is among the orders")


def _orders(given: argparse.Namespace, subject: dict[str, object], mode: Mode) -> Iterator[dict[str, object]]:
    yield {"do": "build", "subject": subject, "mode": asdict(mode), "device": given.device, "threads": given.threads}
    yield {"do": "prepare", "batch": given.batch}
    yield {"do": "warm_up", "protocol": BUDGET.fields()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="timm's benchmark.py")
    parser.add_argument("--models", nargs="+", default=["resmlp_12_224", "deit_tiny_patch16_224"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32", "amp_bfloat16"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps of a window")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before it, of timm's script")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--theirs-opt", default="adamw")
    given = parser.parse_args()
    import timm
    import torch

    print(f"{platform.processor() or platform.machine()}, {given.threads} threads; torch {torch.__version__}, ", end="")
    print(
        f"timm {timm.__version__}; batch {given.batch}, n = {given.rounds} rounds, {given.theirs_opt} in timm's script"
    )
    print(f"{'model':24}{'precision':14}{'work':11}{'timm':>9}{'ablate':>9}{'ablate / timm':>24}")
    for model in given.models:
        for precision in given.precisions:
            found: dict[str, list[dict[str, float]]] = {"timm": [], "ablate": []}
            for number in range(given.rounds):
                for who in ["timm", "ablate"][:: 1 if number % 2 == 0 else -1]:
                    found[who].append((theirs if who == "timm" else ours)(given, model, precision))
            for work in WORK:
                _print(model, precision, work, [r[work] for r in found["timm"]], [r[work] for r in found["ablate"]])


def _print(model: str, precision: str, work: str, timm: list[float], ablate: list[float]) -> None:
    mean = [math.exp(sum(map(math.log, rates)) / len(rates)) for rates in (timm, ablate)]
    interval = t_interval([math.log(b / a) for a, b in zip(timm, ablate, strict=True)], scale=1.0)
    ratio = f"{math.exp(interval.mean):.3f}"
    if interval.low is not None and interval.high is not None:
        ratio += f" [{math.exp(interval.low):.3f}, {math.exp(interval.high):.3f}]"
    print(f"{model:24}{precision:14}{WORK[work]:11}{mean[0]:9.2f}{mean[1]:9.2f}{ratio:>24}", flush=True)


if __name__ == "__main__":
    main()
