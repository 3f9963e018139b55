"""How long the report of a large study takes: 200 variants, three seeds, 300 epochs each, of synthetic records.

    python benchmarks/report_scale.py [VARIANTS]

Each row is a fresh process including start-up: `ablate report` without and with the comparison of models, and again
with cached models. It prints wall seconds, processor seconds, and the highest resident memory.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ablate import load
from ablate.store import records
from tests import synthetic

STUDY = '''"""Many variants, for the benchmark."""
from ablate import DIGITS, Scale, Study

study = Study(
    question="How long does a report of many variants take?",
    axes={{
        "mixer": ["attention", "patch_ff", "linear", "none"],
        "lr": [1e-3 * (1 + step / 100) for step in range({variants} // 4)],
    }},
    cross=True,
    fixed={{"pool": "avg"}},
    scales={{"digits": Scale({{**DIGITS.fields, "epochs": 300}})}},
    seeds=3,
)
'''


def measure(study: Path, root: Path, *words: str) -> tuple[float, float, float]:
    """Wall seconds, the processor's seconds and MiB of one process."""
    command = [sys.executable, "-m", "ablate", "report", str(study), "--root", str(root), *words]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "ABLATE_CACHE": str(root / "cache")})
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, worked, after.ru_maxrss / 1024  # the highest of all children so far


def main() -> None:
    """Print one row per command."""
    variants = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}; {variants} variants")
    print(f"{'report':24} {'wall, s':>8} {'processor, s':>13} {'MiB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        root, study = Path(folder), Path(folder) / "many.py"
        study.write_text(STUDY.format(variants=variants))
        for run in load(study).runs():
            records.write(root / "results", synthetic.record(run))
        for name, words in (("without comparison", ["--no-compare"]), ("with it, first", []), ("with it, again", [])):
            wall, worked, memory = measure(study, root, *words)
            print(f"{name:24} {wall:8.1f} {worked:13.1f} {memory:6.0f}", flush=True)


if __name__ == "__main__":
    main()
