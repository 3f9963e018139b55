"""Frames to draw: of real and of made-up records, of few and many variants, with what goes wrong in real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from ablate import Scale, Study
from ablate.results.ranking import PairRanking, tidy
from ablate.results.table import curves, study_frame, study_records
from ablate.store.records import Record
from tests.synthetic import ROOT, fixture_study, record

SMALL = {"epochs": 4, "image_size": 16, "patch_size": 4, "heads": 4, "pool": "avg", "holdout": 0.2}
MIXERS = ("attention", "patch_ff", "none", "linear", "pool", "dwconv", "fourier", "gating", "random")
MODES = ("inference, bfloat16, eager", "inference, bfloat16, compiled", "training, bfloat16, eager")
Frames = Mapping[str, pd.DataFrame]


def study(axes: Mapping[str, object], **fields: object) -> Study:
    return Study(question="?", axes=axes, cross=True, scales={"s": Scale({**SMALL, **fields})})  # type: ignore[arg-type]


def nine() -> Study:
    return study({"mixer": list(MIXERS)})


def thirty() -> Study:
    """Long names, several variants a mixer."""
    sizes = {f"mlp_ratio={ratio}, as wide as that is": {"mlp_ratio": float(ratio)} for ratio in range(1, 6)}
    return study({"mixer": list(MIXERS[:6]), "width": sizes})


def odd() -> Study:
    """Names that are no names for matplotlib's mathematics."""
    labels = {"$x_1$ & $": {}, "<b>é</b> ^_{": {"mixer": "none"}, "w" * 70: {"mixer": "patch_ff"}}
    return study({"odd": labels})


def patches() -> Study:
    return study({"mixer": list(MIXERS[:3]), "patch_size": [2, 4, 8]})


def depths() -> Study:
    return study({"mixer": list(MIXERS[:3]), "depth": [2, 4, 12]})


def widths() -> Study:
    return study({"mixer": list(MIXERS[:3]), "dim": [32, 64, 192]})


def rates() -> Study:
    """A number that has no plot of its own, crossed."""
    return study({"mixer": list(MIXERS[:3]), "lr": [0.001, 0.0003, 0.003]})


def pieces() -> Study:
    """Pieces of a recipe, several fields under a label, crossed."""
    without = [("mixup", 0.5), ("cutmix", 0.5), ("random_erasing", 0.25), ("smoothing", 0.2), ("drop_path", 0.1)]
    labels = {"plain": {}} | {f"with {name}": {name: value} for name, value in without}
    return study({"mixer": list(MIXERS[:3]), "piece": labels | {"as DeiT": dict(without)}})


def of(made: Study, records: list[Record] | None = None, scale: str = "s") -> Frames:
    """The frames of a study's records; where none are given, of made-up ones for all its runs."""
    found = [record(run) for run in made.runs()] if records is None else records
    labels = {variant.run.replace(seed=0): variant.label for variant in made.variants(scale)}
    rows = {labels[one.as_run().replace(seed=0)]: one for one in found}
    runs = study_frame(made, scale, found)
    order = list(runs.variant.cat.categories)
    measured = speeds(rows, order)
    return {
        "runs": runs,
        "curves": curves(made, scale, found),
        "speed": measured,
        "rankings": rankings(measured, order),
    }


def rankings(measured: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Every pair in every mode at the reference batch; a difference of less than 10 % is undecided."""
    found = []
    for (device, mode), rows in measured[measured["batch"] == 128].groupby(["device", "mode"], sort=False):
        rate = dict(zip(rows["variant"].astype(str), rows["images_per_s"], strict=True))
        for one, other in combinations(rate, 2):
            ratio = rate[one] / rate[other]
            found.append(PairRanking(one, other, device, mode, 128, ratio, ratio / 1.1, ratio * 1.1, 5))
    return tidy(found, labels)


def speeds(rows: Mapping[str, Record], order: list[str]) -> pd.DataFrame:
    """Made-up speeds of some variants, as `ablate.measure.frame` gives them; the largest batch of the first ran out."""
    table = pd.DataFrame(
        [
            {
                **_cost(one, at, batch, mode),
                "variant": label,
                "device": "Synthetic device",
                "mode": mode,
                "batch": batch,
            }
            for at, (label, one) in enumerate(rows.items())
            for mode in MODES
            for batch in (32, 128, 512)
        ],
        columns=None if rows else ["variant", "device", "mode", "batch", "images_per_s", "memory_mib"],
    )
    return table.assign(variant=pd.Categorical(table["variant"], categories=order, ordered=True))


def _cost(one: Record, at: int, batch: int, mode: str) -> dict[str, object]:
    run = one.as_run()
    tokens = (run.image_size // run.patch_size) ** 2
    rate = (
        1e6
        / (run.depth * run.dim * tokens ** (1.5 if run.mixer == "attention" else 1.0))
        * (1 + at % 4 * len(mode) / 9)
    )
    rate = float("nan") if at == 0 and batch == 512 else rate
    spread = {"images_per_s": rate, "images_per_s_low": rate * 0.97, "images_per_s_high": rate * 1.02}
    sizes = {"memory_mib": 100.0 + batch * tokens, "macs": 1e4 * tokens * run.depth * run.dim, "tokens": tokens}
    return {**run.to_dict(), **spread, **sizes, "reference_batch": 128, "measured_at": "2026-01-01"}


def troubled() -> Frames:
    """Missing seeds, a variant without a number, one that diverged, and ranges over many decades."""
    frames = dict(of(nine()))
    runs = frames["runs"].drop(index=[1, 4, 5])
    place = runs["variant"].cat.codes.to_numpy()
    runs["params"] = runs["params"] * 10.0**place
    runs["images_per_s"] = runs["images_per_s"] * 10.0 ** (place / 2)
    runs.loc[runs["variant"] == "pool", "top1"] = np.nan
    runs.loc[runs["variant"] == "gating", "top1"] = np.inf
    return frames | {"runs": runs, "curves": frames["curves"].replace({"train_loss": {2.0: np.nan}})}


def benched() -> Frames:
    """Runs with what was measured of them in one mode, but for one variant."""
    frames = dict(of(depths()))
    runs = frames["runs"]
    rate = 5000.0 + 300.0 * runs["variant"].cat.codes.astype(float)
    where = {"speed_device": "Synthetic device", "speed_mode": "inference, bfloat16, eager", "speed_batch": 128.0}
    runs = runs.assign(throughput=rate, throughput_low=rate * 0.98, throughput_high=rate * 1.01, **where)
    runs.loc[runs["variant"] == runs["variant"].cat.categories[-1], ["throughput", *where]] = None
    return frames | {"runs": runs}


def beyond() -> Frames:
    """Accuracies whose intervals go on beyond 100 % and below 0, and costs whose intervals begin below 0."""
    frames = dict(of(depths()))
    runs = frames["runs"]
    runs["top1"] = np.where(runs["mixer"] == "none", 0.1 + runs["seed"] * 3, 99.9 - runs["seed"] * 5)
    runs["images_per_s"] = 10.0 + 90 * runs["seed"]
    return frames | {"runs": runs}


def published() -> Frames:
    """A study on ImageNet of about the size of published models."""
    frames = dict(of(nine()))
    rows = frames["runs"].assign(dataset="imagenet", image_size=224)
    rows["params"], rows["macs"], rows["top1"] = 80e6 + 1e5 * rows["seed"], 17e9, rows["top1"] / 1.3
    return frames | {"runs": rows}


def fixture(keep: Callable[[Record], bool] = lambda _: True) -> Frames:
    """The frames of the committed fixture records."""
    found = study_records(fixture_study(), "digits", ROOT.results)
    return of(fixture_study(), [one for one in found if keep(one)], "digits")


CASES: Mapping[str, Callable[[], Frames]] = {
    "fixture": fixture,
    "empty": lambda: fixture(lambda _: False),
    "one run": lambda: fixture(lambda one: one.run["mixer"] == "attention" and one.run["seed"] == 0),
    "one seed": lambda: fixture(lambda one: one.run["seed"] == 0),
    "thirty": lambda: of(thirty()),
    "odd names": lambda: of(odd()),
    "troubled": troubled,
    "published": published,
    "patches": lambda: of(patches()),
    "depths": lambda: of(depths()),
    "widths": lambda: of(widths()),
    "rates": lambda: of(rates()),
    "pieces": lambda: of(pieces()),
    "benched": benched,
    "beyond": beyond,
}


@cache
def frames(case: str) -> Frames:
    """The frames of a case, by what a plot `INPUT`."""
    return CASES[case]()
