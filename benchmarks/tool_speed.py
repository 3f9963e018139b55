"""The time of common commands, with 1,000 synthetic records.

    python benchmarks/tool_speed.py

Prints one row per command: the median and the range of whole-process wall times, start-up included.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ablate import load
from ablate.store import records
from ablate.study.study import Study
from tests import synthetic

REPEATS = 7
THOUSAND = '''"""A thousand runs, for the benchmark."""
from ablate import DIGITS, Study

study = Study(
    question="How long does the tool take over a thousand records?",
    axes={"lr": [1e-3 * (1 + step) for step in range(100)]},
    scales={"digits": DIGITS},
    seeds=10,
)
'''


def fill(study: Study, root: Path) -> None:
    """A synthetic record for every run of a study."""
    for run in study.runs():
        records.write(root / "results", synthetic.record(run))


def time_command(words: list[str]) -> list[float]:
    """Wall times in seconds of `ablate WORDS`, after one warm-up that is not counted."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ablate", *words], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return times[1:]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        thousand = root / "thousand.py"
        thousand.write_text(THOUSAND)
        fill(load("quickstart"), root / "quick")
        fill(load(thousand), root / "many")
        quick, many = ["--root", str(root / "quick")], ["--root", str(root / "many")]
        commands = {
            "ablate --help": ["--help"],
            "ablate list": ["list", *quick],
            "ablate run quickstart, all records present": ["run", "quickstart", *quick],
            "ablate plan, 1,000 records": ["plan", str(thousand), *many],
            "ablate status, 1,000 records": ["status", str(thousand), *many],
            "ablate table, 1,000 records": ["table", str(thousand), *many],
        }
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{'command':45} {'median s':>9} {'min':>6} {'max':>6}   n={REPEATS}")
        for name, words in commands.items():
            times = time_command(words)
            print(f"{name:45} {statistics.median(times):9.2f} {min(times):6.2f} {max(times):6.2f}", flush=True)


if __name__ == "__main__":
    main()
