"""Records made up from a run's key: the same run always has the same numbers, and no number was measured."""

from __future__ import annotations

import random
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from ablate.dispatch.data import fingerprint
from ablate.spec.run import Run
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.load import load
from ablate.study.study import Study

FIXTURES = Path(__file__).parent / "fixtures"
ROOT = Root(FIXTURES / "quickstart")
GOLDEN = ROOT.path / "table.md"
TOP1 = {"attention": 97.0, "patch_ff": 94.5, "none": 41.0}


def fixture_study() -> Study:
    """The study that the committed fixture records are of: eight of nine runs."""
    return load(FIXTURES / "fixture_study.py")


def record(run: Run, **overrides: Any) -> Record:
    """A record of `run` with made-up numbers, marked by the host "synthetic".

    Args:
        overrides: parts of the record; a dict is merged into the made-up part, anything else replaces it.
    """
    parts = _made_up(run, random.Random(run.key))
    for name, value in overrides.items():
        parts[name] = {**parts[name], **value} if isinstance(value, dict) else value
    return Record(**{item.name: parts[item.name] for item in fields(Record) if item.name in parts})


@cache
def fingerprint_of(dataset: str) -> str:
    """The real fingerprint, so that the record answers to its run; a made-up one for data not at hand."""
    return fingerprint(dataset, {}) or "0123456789abcdef"


def _made_up(run: Run, chance: random.Random) -> dict[str, Any]:
    top1 = round(min(100.0, TOP1.get(run.mixer, 90.0) + chance.gauss(0, 0.8)), 4)
    rate = round((3000 if run.mixer == "attention" else 3600) + chance.gauss(0, 60), 3)
    history = [_epoch(run, epoch, top1, chance) for epoch in range(1, run.epochs + 1)]
    params = run.depth * run.dim * run.dim * {"attention": 8, "none": 4}.get(run.mixer, 5) + run.dim * 26
    seconds = round(run.epochs * 1088 / rate, 4)
    metrics = {"top1": top1, "top5": 99.5, "loss": round(3 - top1 / 40, 4), "n": 360, "correct": ""}
    held_out = {name: value for name, value in history[-1].items() if name.startswith("heldout")}
    return {
        "schema": 1,
        "key": run.key,
        "run": run.to_dict(),
        "metrics": metrics | held_out,
        "history": history,
        "complexity": {"params": params, "macs": params * 16, "tokens": 16},
        "dataset": {
            "fingerprint": fingerprint_of(run.dataset),
            "classes": list("0123456789"),
            "channels": 1,
            "n_train": 1149,
            "n_heldout": 288 if run.holdout else 0,
            "n_test": 360,
        },
        "cost": {
            "training_s": seconds,
            "images_per_s": rate,
            "total_s": round(seconds * 1.1, 4),
            "peak_memory_mib": 512.0,
        },
        "provenance": {
            "commit": "0" * 40,
            "dirty": False,
            "versions": {"python": "3.11.7", "ablate": "0.1.0", "torch": "2.15.0", "timm": "1.0.31"},
            "device": "Synthetic CPU",
            "host": "synthetic",
            "platform": "none",
            "resources": {"threads": 1, "workers": 0, "device": "auto"},
            "finished": f"2026-01-01T00:{run.seed % 60:02d}:00+00:00",
        },
    }


def _epoch(run: Run, epoch: int, top1: float, chance: random.Random) -> dict[str, Any]:
    share = epoch / run.epochs
    entry = {"epoch": epoch, "lr": run.lr, "train_loss": round(2.3 - 2.0 * share * top1 / 100, 4)}
    held_out = {"heldout_top1": round(top1 * share**0.5 + chance.gauss(0, 0.5), 4), "heldout_loss": entry["train_loss"]}
    return entry | (held_out if run.holdout else {})
