"""timm's benchmark.py and `ablate.measure.model` on the same models, in turns: images/s of both, and their ratio.

    python benchmarks/against_timm_benchmark.py --script PATH/TO/timm/benchmark.py
    python benchmarks/against_timm_benchmark.py --script … --clock processor --threads 1   # on a busy machine

timm's script is not in its wheel: take it from a checkout of its repository. Each round starts a process of each for
every model and precision, timm's first in odd rounds. Both take the same model, batch, precision and number of threads,
and AdamW in training; `--theirs-opt sgd` is timm's default. The last column is the ratio's 95 % t interval over rounds.
`--clock processor` uses processor time for both, which hardly depends on other load. If they differ by more than 5 %,
docs/measuring.md explains why.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from ablate.measure.protocol import BUDGET, Mode
from ablate.results.stats import t_interval

PRECISIONS = {"float32": "fp32", "amp_bfloat16": "bf16", "bfloat16": "bf16pure"}  # timm's word and ours
WORK = {"infer": "inference", "train": "training"}
AS_MAIN = """
import runpy, sys, time
if sys.argv[1] == "processor":
    time.perf_counter = time.process_time
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(given: argparse.Namespace, words: list[str]) -> str:
    """Return the output of a script in its own process, timed by the requested clock."""
    command = [sys.executable, "-c", AS_MAIN, given.clock, *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stderr}")
    return done.stdout


def theirs(given: argparse.Namespace, model: str, precision: str) -> dict[str, float]:
    """Images/s of timm's script, by the word it puts before its results."""
    options = {
        "model": model, "batch-size": given.batch, "precision": precision, "device": given.device,
        "opt": given.theirs_opt, "num-warm-iter": given.warm_up, "num-bench-iter": given.steps, "bench": "both",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    found = json.loads(run(given, [str(given.script), *words, "--no-retry"]).rpartition("--result")[2])
    return {work: float(found[f"{work}_samples_per_sec"]) for work in WORK}


def ours(given: argparse.Namespace, model: str, precision: str) -> dict[str, float]:
    """Images/s of ours."""
    order = {"model": model, "dtype": PRECISIONS[precision], "batch": given.batch, "device": given.device}
    words = json.dumps(order | {"threads": given.threads, "seconds": given.seconds})
    return {work: float(v) for work, v in json.loads(run(given, [__file__, "--ours", words])).items()}


def measure_ours(order: dict[str, object]) -> dict[str, float]:
    """One window of inference and one of training, in this process."""
    from ablate.measure.model import measure
    from ablate.measure.subjects import Subject
    from ablate.measure.worker import build

    torch.set_num_threads(int(str(order["threads"])))
    protocol = replace(BUDGET, rounds=1, window_s=float(str(order["seconds"])))
    found = {}
    for word, work in WORK.items():
        model, shape, classes, _ = build(Subject(str(order["model"]), timm=str(order["model"])))
        mode, device = Mode(str(order["dtype"]), "eager", "nchw", work), torch.device(str(order["device"]))
        windows = measure(model, mode, int(str(order["batch"])), shape, classes, device, protocol)["windows"]
        found[word] = float(windows[0]["rate"])
    return found


def main() -> None:
    """Print the table."""
    from _measuring import conditions  # here: the process that measures ours has no neighbours on its path

    given = _given()
    torch.set_num_threads(given.threads)  # for the line of conditions
    more = f"batch {given.batch}, n = {given.rounds} rounds, {given.clock} clock, {given.theirs_opt} in timm's script"
    print(conditions(torch.device(given.device), more))
    print(f"{'model':24}{'precision':14}{'work':11}{'timm':>9}{'ablate':>9}{'ablate / timm':>24}")
    for model in given.models:
        for precision in given.precisions:
            found = in_turns(given, model, precision)
            for work in WORK:
                _print(model, precision, work, [r[work] for r in found["timm"]], [r[work] for r in found["ablate"]])


def in_turns(given: argparse.Namespace, model: str, precision: str) -> dict[str, list[dict[str, float]]]:
    """Images/s of every round, of both; the order alternates between rounds."""
    found: dict[str, list[dict[str, float]]] = {"timm": [], "ablate": []}
    for number in range(given.rounds):
        for who in ["timm", "ablate"][:: 1 if number % 2 == 0 else -1]:
            found[who].append((theirs if who == "timm" else ours)(given, model, precision))
    return found


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="timm's benchmark.py")
    parser.add_argument("--models", nargs="+", default=["resmlp_12_224", "deit_tiny_patch16_224"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float32", "amp_bfloat16"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="steps of timm's script that are measured")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before them")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of our window")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--theirs-opt", default="adamw")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    given = parser.parse_args()
    if given.clock == "processor" and (given.threads, given.device) != (1, "cpu"):
        parser.error("--clock processor wants --threads 1 on the CPU: it counts the seconds of all threads together")
    return given


def _print(model: str, precision: str, work: str, timm: list[float], ablate: list[float]) -> None:
    mean = [math.exp(sum(map(math.log, rates)) / len(rates)) for rates in (timm, ablate)]
    interval = t_interval([math.log(b / a) for a, b in zip(timm, ablate, strict=True)], scale=1.0)
    ratio = f"{math.exp(interval.mean):.3f}"
    if interval.low is not None and interval.high is not None:
        ratio += f" [{math.exp(interval.low):.3f}, {math.exp(interval.high):.3f}]"
    print(f"{model:24}{precision:14}{WORK[work]:11}{mean[0]:9.2f}{mean[1]:9.2f}{ratio:>24}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        print(json.dumps(measure_ours(json.loads(sys.argv[2]))))
    else:
        main()
