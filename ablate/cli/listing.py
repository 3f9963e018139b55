"""The command that lists the studies."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import typer

from ablate.cli._options import Folder, Json, print_json
from ablate.cli._soundness import warn_all
from ablate.results.inventory import summaries
from ablate.spec.printable import printable
from ablate.store.root import Root

GAP = "  "
INDENT = "    "


def list_(as_json: Json = False, root: Folder = None) -> int:
    """List the studies, and how many of their runs have a record.

    The exit code is 2 where a record is damaged.

    Examples:
        ablate list
    """
    folder = Root.at(root)
    found = summaries(folder)
    if as_json:
        print_json(found)
    else:
        print_studies(found)
    return warn_all(folder)


def print_studies(found: Sequence[dict[str, Any]]) -> None:
    """Print one row per study, its scales side by side where they fit, with its question below."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    heads = ["STUDY", "VARIANTS"]
    rows = [[printable(study["name"]), _variants(study), *_scales(study)] for study in found]
    widths = [max(map(len, column)) for column in zip_longest(heads, *rows, fillvalue="")]
    if sum(widths) + len(GAP) * (len(widths) - 1) > width:  # one scale per line
        widths = [*widths[:2], 0]
    typer.echo(_line([*heads, "RUNS DONE"], widths))
    for study, row in zip(found, rows, strict=True):
        stacked = len(row) > len(widths)
        first, *more = [row[2:3], *([cell] for cell in row[3:])] if stacked else [row[2:]]
        typer.echo(_line([*row[:2], *first], widths))
        for cells in more:
            typer.echo(_line(["", "", *cells], widths))
        for line in _question(study, width - len(INDENT)):
            typer.echo(INDENT + line)


def _variants(study: dict[str, Any]) -> str:
    """Return the number of variants; one number per scale where they differ."""
    numbers = [scale["variants"] for scale in study["scales"]]
    return ", ".join(map(str, dict.fromkeys(numbers) if len(set(numbers)) == 1 else numbers)) or "-"


def _scales(study: dict[str, Any]) -> Iterator[str]:
    for scale in study["scales"]:
        if study["benchmark_only"]:
            yield f"{scale['name']} {scale['measured']}/{scale['models']}"
        else:
            damaged = f" ({scale['damaged']} damaged)" if "damaged" in scale else ""
            yield f"{scale['name']} {scale['done']}/{scale['runs']}{damaged}"


def _question(study: dict[str, Any], width: int) -> list[str]:
    """Return the lines of a study's question, or of the error of its file."""
    text = printable(study["error"].splitlines()[0]) if study["error"] else study["question"]
    if study["benchmark_only"]:
        text += " (speed only; the numbers count models measured by `ablate bench`)"
    return textwrap.wrap(text, max(20, min(width, 10_000)))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:{width}}" for cell, width in zip_longest(cells, widths[: len(cells)], fillvalue=0)]
    return GAP.join(padded).rstrip()
