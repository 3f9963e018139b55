"""What `ablate list` shows: every study once, with what there is of it at each of its scales."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ablate.store.root import Root
    from ablate.study.study import Study

SPEED = "speed"  # the folder of `ablate.measure`, which imports pandas
GAP = "  "
INDENT = "    "


def summaries(root: Root) -> list[dict[str, Any]]:
    """Every named study, ready for JSON."""
    from ablate.store.records import index
    from ablate.study.load import named

    recorded = set(index(root.results))
    measured = {path.name.partition("-")[0] for path in (root.results / SPEED).glob("*/*.json")}
    return [_summary(path, recorded, measured) for path in named().values()]


def _summary(path: Path, recorded: set[str], measured: set[str]) -> dict[str, Any]:
    """A study at each of its scales; one whose file fails is listed with its error, and hides no other."""
    from ablate.spec.errors import SpecError
    from ablate.study.load import load

    try:
        study = load(path)
    except SpecError as error:
        return {"name": path.stem, "question": "", "benchmark_only": False, "scales": [], "error": str(error)}
    told = _measured if study.benchmark_only else _trained
    scales = [
        {"name": name, "variants": len(study.variants(name))}
        | told(study, name, measured if study.benchmark_only else recorded)
        for name in study.scales
    ]
    told_of = {"name": study.name, "question": study.question, "benchmark_only": study.benchmark_only}
    return told_of | {"scales": scales, "error": ""}


def _trained(study: Study, scale: str, recorded: set[str]) -> dict[str, int]:
    """The runs of a study, and how many have a record."""
    seeds = range(study.seed_count(scale))
    keys = [key for variant in study.variants(scale) for key in variant.run.keys(seeds)]
    return {"runs": len(keys), "done": len(recorded.intersection(keys))}


def _measured(study: Study, scale: str, measured: set[str]) -> dict[str, int]:
    """The models of a study that trains nothing, and how many have a measurement of speed."""
    from ablate.measure.subjects import of_study

    keys = {subject.key for subject in of_study(study, scale)}
    return {"runs": 0, "done": 0, "models": len(keys), "measured": len(measured & keys)}


def print_studies(found: Sequence[dict[str, Any]]) -> None:
    """A row a study, its scales side by side where there is room, and its question beneath."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    heads = ["STUDY", "VARIANTS"]
    rows = [[study["name"], _variants(study), *_scales(study)] for study in found]
    widths = [max(map(len, column)) for column in zip_longest(heads, *rows, fillvalue="")]
    if sum(widths) + len(GAP) * (len(widths) - 1) > width:  # one beneath the other
        widths = [*widths[:2], 0]
    typer.echo(_line([*heads, "RUNS DONE"], widths))
    for study, row in zip(found, rows, strict=True):
        stacked = len(row) > len(widths)
        first, *more = [row[2:3], *([cell] for cell in row[3:])] if stacked else [row[2:]]
        typer.echo(_line([*row[:2], *first], widths))
        for cells in more:
            typer.echo(_line(["", "", *cells], widths))
        for line in _told(study, width - len(INDENT)):
            typer.echo(INDENT + line)


def _variants(study: dict[str, Any]) -> str:
    """The number of variants; one for each scale where they differ."""
    numbers = [scale["variants"] for scale in study["scales"]]
    return ", ".join(map(str, dict.fromkeys(numbers) if len(set(numbers)) == 1 else numbers)) or "-"


def _scales(study: dict[str, Any]) -> Iterator[str]:
    for scale in study["scales"]:
        if study["benchmark_only"]:
            yield f"{scale['name']} {scale['measured']}/{scale['models']}"
        else:
            yield f"{scale['name']} {scale['done']}/{scale['runs']}"


def _told(study: dict[str, Any], width: int) -> list[str]:
    """A study's question, or why it could not be loaded."""
    text = study["error"].splitlines()[0] if study["error"] else study["question"]
    if study["benchmark_only"]:
        text += " (speed only: counted are the models measured by ablate bench)"
    return textwrap.wrap(text, max(20, min(width, 10_000)))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:{width}}" for cell, width in zip_longest(cells, widths[: len(cells)], fillvalue=0)]
    return GAP.join(padded).rstrip()
