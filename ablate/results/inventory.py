"""What there is of every named study: its scales, and how many of its runs or models have a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablate.dispatch.evidence import fingerprints, gather
from ablate.spec.errors import SpecError
from ablate.store import rows
from ablate.store.root import Root
from ablate.store.rows import Rows
from ablate.study.load import load, named
from ablate.study.study import Study

SPEED = "speed"  # the folder of `ablate.measure.record`, which imports more than a list needs


def summaries(root: Root) -> list[dict[str, Any]]:
    """Return every named study, ready for JSON."""
    recorded = rows.read(root.results)
    measured = {path.name.partition("-")[0] for path in (root.results / SPEED).glob("*/*.json")}
    return [_summary(path, recorded, measured) for path in named().values()]


def _summary(path: Path, recorded: Rows, measured: set[str]) -> dict[str, Any]:
    """Return a study with each of its scales, or with the error of its file."""
    try:
        study = load(path)
    except SpecError as error:
        return {"name": path.stem, "question": "", "benchmark_only": False, "scales": [], "error": str(error)}
    scales = [
        {"name": name, "variants": len(study.variants(name))}
        | (_measured(study, name, measured) if study.benchmark_only else _trained(study, name, recorded))
        for name in study.scales
    ]
    head = {"name": study.name, "question": study.question, "benchmark_only": study.benchmark_only}
    return head | {"scales": scales, "error": ""}


def _trained(study: Study, scale: str, recorded: Rows) -> dict[str, int]:
    """Return how many runs a study has, how many of them are done, and how many have a damaged record."""
    seeds = range(study.seed_count(scale))
    runs = [(variant.run, seeds) for variant in study.variants(scale)]
    found = gather(recorded, runs, fingerprints(run.dataset for run, _ in runs))
    counts = {"runs": len(runs) * len(seeds), "done": len(found.done)}
    return counts | ({"damaged": len(found.damaged)} if found.damaged else {})


def _measured(study: Study, scale: str, measured: set[str]) -> dict[str, int]:
    """Return how many models a benchmark-only study has, and how many of them have a measurement."""
    from ablate.measure.subjects import of_study

    keys = {subject.key for subject in of_study(study, scale)}
    return {"runs": 0, "done": 0, "models": len(keys), "measured": len(measured & keys)}
