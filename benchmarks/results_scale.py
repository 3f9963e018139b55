"""How the time to read and summarise results grows: 2,500 to 10,000 synthetic records of 300 epochs.

    python benchmarks/results_scale.py [SEEDS]

A study of 200 variants and up to 50 seeds (or SEEDS). Times are of a fresh process each, imports left out, median of 3:
"cold" with an empty cache of rows, "warm" with a whole one. Each cell is wall time and, after a slash,
processor time, which does not depend on other load; memory is the peak of the cold process.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ablate import load
from ablate.store import records
from tests import synthetic

REPEATS = 3
STUDY = '''"""Many runs, for the benchmark."""
from ablate import DIGITS, Scale, Study

study = Study(
    question="How long does the tool take over many records?",
    axes={{"lr": [1e-3 * (1 + step / 100) for step in range(200)]}},
    scales={{"digits": Scale({{**DIGITS.fields, "epochs": 300}})}},
    seeds={seeds},
)
'''
CHILD = """
import json, resource, sys, time
import ablate, ablate.table
study = ablate.load(sys.argv[1])
def timed(call):
    started, worked = time.perf_counter(), time.process_time()
    result = call()
    return [time.perf_counter() - started, time.process_time() - worked], result
everything, found = timed(lambda: ablate.frame(root=sys.argv[2]))
one_study, runs = timed(lambda: ablate.frame(study, root=sys.argv[2]))
summed, summary = timed(lambda: ablate.summarise(runs, study.seeds))
assert len(found) == len(runs) == int(sys.argv[3]) and len(summary) == 200
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"frame": everything, "study": one_study, "summarise": summed, "MiB": [peak]}))
"""


def measure(study: Path, root: Path, runs: int, cache: Path) -> dict[str, list[float]]:
    """Return the time and memory of one fresh process."""
    words = [sys.executable, "-c", CHILD, str(study), str(root), str(runs)]
    environment = {**os.environ, "ABLATE_CACHE": str(cache)}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def medians(study: Path, root: Path, runs: int, cache: Path, *, cold: bool) -> dict[str, str]:
    """Medians of a few processes; each starts without the cache, or with a whole one."""
    found = []
    for _ in range(REPEATS):
        if cold:
            shutil.rmtree(cache, ignore_errors=True)
        found.append(measure(study, root, runs, cache))
    each = {name: zip(*(one[name] for one in found), strict=True) for name in found[0]}
    return {name: " / ".join(f"{statistics.median(value):.2f}" for value in values) for name, values in each.items()}


def main() -> None:
    """Print one row per number of records."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("records      cold frame, s   warm frame, s   warm frame of the study, s   summarise, s      MiB")
    with tempfile.TemporaryDirectory() as folder:
        root, study, written = Path(folder), Path(folder) / "many.py", 0
        for seeds in (most // 4, most // 2, most):
            study.write_text(STUDY.format(seeds=seeds))
            runs = load(study).runs()
            for run in runs[written:]:
                records.write(root / "results", synthetic.record(run))
            written = len(runs)
            cold = medians(study, root, written, root / "cache", cold=True)
            measure(study, root, written, root / "cache")
            warm = medians(study, root, written, root / "cache", cold=False)
            print(
                f"{written:7,} {cold['frame']:>18} {warm['frame']:>15} {warm['study']:>28} {warm['summarise']:>14} "
                f"{cold['MiB']:>8}",
                flush=True,
            )


if __name__ == "__main__":
    main()
