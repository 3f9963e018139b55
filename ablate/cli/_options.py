"""The options that commands share, and how commands print JSON and columns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from ablate.dispatch.plan import Place
from ablate.spec.errors import SpecError
from ablate.study.load import load, named

WHERE, FAILURES = "Where to run", "Failures"  # groups of options


def study_names(incomplete: str) -> list[str]:
    """Return the studies that complete a name, for the shell."""
    return [name for name in named() if name.startswith(incomplete)]


def _scale_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the scales of the study typed before that complete a name, for the shell."""
    try:
        return [name for name in load(context.params.get("name") or "").scales if name.startswith(incomplete)]
    except SpecError:
        return []


Name = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study, or path of its file.", autocompletion=study_names)
]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="Name of a study, or path of its file.", autocompletion=study_names),
]
All = Annotated[bool, typer.Option("--all", help="Every named study that has the scale, one after the other.")]
ScaleName = Annotated[
    str | None,
    typer.Option("--scale", help="Scale of the study; by default its first.", autocompletion=_scale_names),
]
Seeds = Annotated[int | None, typer.Option("--seeds", help="Seeds per variant; by default the study's number.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--root", help="Folder with results/, runs/ and reports/; by default ABLATE_ROOT, else the current folder."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="NAME=PATH", help="Path of a dataset; may be given several times."),
]
On = Annotated[
    Place,
    typer.Option(
        help="Where to run: local (one worker per slot), slurm (job arrays), inline (this process).",
        rich_help_panel=WHERE,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Runs (on Slurm: jobs) side by side; by default one per GPU, else cores over threads; on Slurm, all.",
        rich_help_panel=WHERE,
    ),
]


def one_or_all(command: str, name: str | None, every: bool) -> None:
    """Check that either a study or --all is given.

    Raises:
        SpecError: for both, and for neither.
    """
    if (name is None) is not every:
        given = "both" if every else "neither"
        raise SpecError(f"{command} needs either a study or --all, got {given}")


def locations(data: list[str] | None) -> dict[str, str]:
    """Return the absolute paths given with --data, by dataset."""
    pairs = [entry.partition("=") for entry in data or []]
    for name, equals, path in pairs:
        if not (name and equals and path):
            raise SpecError(f"--data must be NAME=PATH, got {name + equals + path!r}")
    return {name: str(Path(os.path.expanduser(path)).absolute()) for name, _, path in pairs}


def print_json(content: Any) -> None:
    """Print indented JSON."""
    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


def print_columns(rows: Iterable[Iterable[object]]) -> None:
    """Print rows in aligned columns; the last column is not padded."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for row in cells:
        head = "".join(f"{cell:{width}}  " for cell, width in zip(row, widths, strict=False))
        typer.echo((head + row[-1]).rstrip())
