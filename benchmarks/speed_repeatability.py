"""Whether two measurements of the same models agree: the quickstart's models measured twice, from scratch.

    python benchmarks/speed_repeatability.py            # the full protocol, about 4 minutes on an idle machine
    python benchmarks/speed_repeatability.py --quick

Both measurements use `ablate bench`, fp32, eager, inference and training. Prints the two medians of every model
and their ratio, and the drift of the control, and ends with exit code 1 where one differs by more than
--within (10 %).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pandas as pd

from ablate import load
from ablate.measure import frames as speed_frames
from ablate.measure.progress import Watch
from ablate.measure.protocol import FULL, QUICK, matrix
from ablate.measure.session import Plan, Session
from ablate.measure.subjects import of_study
from ablate.store.root import Root


def measured(folder: str, plan: Plan) -> pd.DataFrame:
    """Return the rows of one complete measurement."""
    root = Root.at(folder)
    root.make_writable()
    with Watch(sys.stdout) as watch:
        session = Session(root, plan, watch)
        session.run()
    table = speed_frames.frame(root)
    full = table[table["status"] != "measured"]
    if session.failures or len(full):
        raise SystemExit("\n".join([*session.failures, *(f"{row.variant}: {row.status}" for row in full.itertuples())]))
    return table.set_index(["variant", "work"])


def compare(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Print a line a model and work; the largest relative difference."""
    ratios = second["images_per_s"] / first["images_per_s"]
    print(f"{'model':12}{'work':11}{'images/s':>12}{'again':>12}{'ratio':>8}{'drift':>8}{'again':>8}")
    for at, ratio in ratios.items():
        variant, work = at
        a, b = first.loc[at], second.loc[at]
        print(f"{variant:12}{work:11}{a['images_per_s']:12,.0f}{b['images_per_s']:12,.0f}", end="")
        print(f"{ratio:8.3f}{a['drift']:8.1%}{b['drift']:8.1%}")
    return float((ratios - 1).abs().max())


def main() -> int:
    """Print the table; 1 where two measurements differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="quickstart")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--within", type=float, default=0.1)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    plan = Plan(
        subjects=of_study(load(given.study)),
        modes=matrix("fp32-eager"),
        batches=(given.batch,),
        protocol=QUICK if given.quick else FULL,
        device="cpu",
        threads=given.threads,
    )
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first, second = measured(one, plan), measured(other, plan)
    row = first.iloc[0]
    print(f"{row['device']}, timm {row['timm']}; {row['protocol']} protocol, n = {plan.protocol.rounds} windows")
    print(f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after, {len(os.sched_getaffinity(0))} cores")
    worst = compare(first, second)
    print(f"largest difference: {worst:.1%}; {'within' if worst <= given.within else 'beyond'} {given.within:.0%}")
    return int(worst > given.within)


if __name__ == "__main__":
    sys.exit(main())
