"""The options commands share, declared once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def _study_names(incomplete: str) -> list[str]:
    """Shell completion of a study's name."""
    from ablate.study.load import named

    return [name for name in named() if name.startswith(incomplete)]


def _scale_names(context: typer.Context, incomplete: str) -> list[str]:
    """Shell completion of the scales of the study already typed."""
    from ablate.spec.errors import SpecError
    from ablate.study.load import load

    try:
        return [name for name in load(context.params.get("name") or "").scales if name.startswith(incomplete)]
    except SpecError:
        return []


Name = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study, or path of its file.", autocompletion=_study_names)
]
NameOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="Name of a study, or path of its file.", autocompletion=_study_names),
]
All = Annotated[bool, typer.Option("--all", help="Every named study that has the scale, one after the other.")]
ScaleName = Annotated[
    str | None,
    typer.Option("--scale", help="Size to run at; the study's first one by default.", autocompletion=_scale_names),
]
Seeds = Annotated[int | None, typer.Option("--seeds", help="Seeds per variant; the study's own number by default.")]
Folder = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of results, runs and reports; by default ABLATE_ROOT, else the current one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="NAME=PATH", help="Where a data set lies; may be given several times."),
]


def one_or_all(command: str, name: str | None, every: bool) -> None:
    """A study is given, or --all; a `SpecError` for both, and for neither."""
    from ablate.spec.errors import SpecError

    if (name is None) is not every:
        given = "both a study and --all" if every else "neither a study nor --all"
        raise SpecError(f"{command} has {given}; wanted is one of them")


def locations(data: list[str] | None) -> dict[str, str]:
    """The paths given with --data, by name, absolute."""
    from ablate.spec.errors import SpecError

    pairs = [entry.partition("=") for entry in data or []]
    for name, equals, path in pairs:
        if not (name and equals and path):
            raise SpecError(f"--data is {name + equals + path!r}; wanted is NAME=PATH")
    return {name: str(Path(path).absolute()) for name, _, path in pairs}


def check_given(data: dict[str, str], used: set[str]) -> dict[str, str]:
    """Where all used data sets lie that need a place: as given with --data, else as the settings say.

    Raises:
        SpecError: for a given name that needs no place, or that the study does not use.
    """
    from ablate.data.datasets import needs_location, resolve
    from ablate.spec.errors import SpecError

    for name in data:
        if not needs_location(name):
            raise SpecError(f"--data names {name}, which needs no place: it comes with an installed package")
        if name not in used:
            raise SpecError(f"--data names {name}; the study uses {', '.join(sorted(used))}")
    return resolve(used, data)


def data_lines(used: set[str], data: dict[str, str]) -> list[str]:
    """What lies where, a line for each data set that needs a place; or that it is not at hand."""
    from ablate.data.datasets import is_available, needs_location, source

    lines = []
    for name in sorted(filter(needs_location, used)):
        if is_available(name, data):
            module, location = source(name, data)
            lines.append(str(module.DIRECTORY.line(name, location)))
        else:
            lines.append(f"{name} is not at hand, so its pictures were not checked; see ablate data")
    return lines


def print_json(content: Any) -> None:
    """JSON on standard output, indented."""
    import orjson

    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


def print_columns(rows: Iterable[Iterable[object]]) -> None:
    """Rows of cells in aligned columns; the last one runs free."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    for row in cells:
        head = "".join(f"{cell:{width}}  " for cell, width in zip(row, widths, strict=False))
        typer.echo((head + row[-1]).rstrip())
