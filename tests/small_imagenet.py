"""ImageNet's route in small: 1,000 classes of tiny images, and the study `paper` at a size a CPU trains in seconds.

No option shrinks a study, so this is done by a study that derives from `paper`. Smaller are the models, the images
and the number of steps; all else is as `studies/paper.py` has it, its fp16 too, which is slow on a CPU and works.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablate import load
from ablate.results import per_image
from ablate.spec.run import Run
from ablate.store import records
from ablate.store.records import Record
from ablate.store.root import Root
from ablate.study.study import Study

# What is smaller than in the paper's own runs; patches stay 16 and 32 pixels wide.
SHRUNK = {"image_size", "batch_size", "epochs", "warmup_epochs", "dim", "depth"}
STUDY = '''"""The study `paper`, at ImageNet's scale, in small."""
from dataclasses import replace

from ablate import Scale, load

SMALL = {"image_size": 64, "batch_size": 256, "epochs": 1, "warmup_epochs": 0}


def small(run):
    found = run.replace(**SMALL, dim=run.dim // 32, depth=run.depth // 12)
    return {name: value for name, value in found.to_dict().items() if name != "seed"}


paper = load("paper")
models = {variant.label: small(variant.run) for variant in paper.variants("imagenet")}
study = replace(paper, axes={"model": models}, fixed={}, claims=(), scales={"imagenet": Scale(SMALL)}, seeds=1)
'''
CLASSES = 1000
ODD = {0: "L", 1: "CMYK"}  # ImageNet has such files too


def folder(where: Path) -> Path:
    """One image a class to train on and one to test on, noise in JPEG files, laid out as ImageNet is."""
    stream = np.random.default_rng(0)
    for part in ("train", "val"):
        for label in range(CLASSES):
            own = where / part / f"n{label:08}"
            own.mkdir(parents=True)
            image = Image.fromarray(stream.integers(0, 256, (40 + label % 9, 48, 3), np.uint8))
            image.convert(ODD.get(label, "RGB")).save(own / f"{part}_{label:08}.JPEG")
    return where


def study_in(where: Path) -> Path:
    """The study's file."""
    path = where / "paper_small.py"
    path.write_text(STUDY)
    return path


def pairs(study: Study) -> dict[str, tuple[Run, Run]]:
    """Each model's run in small and in `paper`, by the model's name."""
    full = load("paper").variants("imagenet")
    return {one.label: (one.run, other.run) for one, other in zip(study.variants(), full, strict=True)}


def assert_complete(root: Root, study: Study) -> dict[str, Record]:
    """Every model of the paper has a record, of a step that was taken by two processes on the whole folder.

    Returns:
        The records by the model's name.
    """
    found = {record.key: record for record in records.read_all(root.results)}
    by_name = {name: found.pop(run.key) for name, (run, _) in pairs(study).items()}
    assert not found
    for record in by_name.values():
        facts, metrics = record.dataset, record.metrics
        assert records.intact(record)
        assert (len(facts["classes"]), facts["n_train"], facts["n_test"]) == (CLASSES, CLASSES, CLASSES)
        assert metrics["n"] == CLASSES, "every image of val/ once, over both processes"
        outcomes = per_image.outcomes(metrics)
        assert outcomes is not None
        assert 100 * outcomes.mean() == pytest.approx(metrics["top1"])
        assert metrics["loss"] != metrics["ema_loss"], "the weights have moved"
        assert record.provenance["processes"] == record.provenance["resources"]["gpus_per_run"] == 2
        assert not facts.get("broken")
    return by_name
