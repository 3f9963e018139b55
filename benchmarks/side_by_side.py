"""Is it faster to train several small runs side by side on one device, and how many?

    python benchmarks/side_by_side.py                        # the digits, on this CPU
    python benchmarks/side_by_side.py --scale cifar10 --data cifar10=PATH --epochs 2    # one GPU

The same runs of `quickstart`, with fewer epochs, are trained by `ablate run` with 1, 2, 4, … of them at a time, each
time into an empty folder. It prints the seconds for all runs, including start-up, reading the data and the report.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measuring import ROOT, conditions, table

# isort: split
import torch

STUDY = """
from ablate import Study, load

whole = load("quickstart")
scale = whole.scales[{scale!r}].replace(epochs={epochs}, warmup_epochs=0, seeds={seeds})
study = Study(question=whole.question, axes=whole.axes, fixed=whole.fixed, scales={{{scale!r}: scale}})
"""


def seconds(study: Path, jobs: int, data: list[str]) -> float:
    """Seconds until every run of a study is trained, N at a time."""
    with tempfile.TemporaryDirectory() as root:
        words = [sys.executable, "-m", "ablate", "run", str(study), "--jobs", str(jobs), "--root", root, "--json"]
        words += [word for place in data for word in ("--data", place)]
        began = time.perf_counter()
        done = subprocess.run(
            words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}\n{done.stderr[-3000:]}")
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="digits")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=4, help="of each of the three variants")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    chosen = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    runs = 3 * chosen.seeds
    print(conditions(device, f"{runs} runs of {chosen.epochs} epochs at scale {chosen.scale}, n = 1"))
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "side_by_side.py"
        study.write_text(STUDY.format(scale=chosen.scale, epochs=chosen.epochs, seeds=chosen.seeds), encoding="utf-8")
        rows = ((jobs, seconds(study, jobs, chosen.data)) for jobs in chosen.jobs)
        head = ["runs at a time", "seconds for all", "runs per minute"]
        table(head, ((jobs, f"{took:.1f}", f"{60 * runs / took:.1f}") for jobs, took in rows))


if __name__ == "__main__":
    main()
