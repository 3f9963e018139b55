"""The command that deletes files that no study uses, after listing them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json
from ablate.dispatch.cleanup import KINDS, Leftover, find, remove, unreadable
from ablate.results.formats.units import size
from ablate.store.root import Root
from ablate.study.load import every_study


def clean(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY", help="Files of other studies whose runs to keep, in addition to the named ones."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files, and delete nothing.")] = False,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Also the weights of runs that differ from a study's in the epochs only."),
    ] = False,
    root: Folder = None,
    as_json: Json = False,
) -> None:
    """Delete files under runs/ and the cache that no study uses (asks first).

    Every path is listed before it is deleted. Records, runs in progress and the targets of symbolic links are kept, and
    so are, without --weights, the weights of runs that differ from a study's in their budget only.
    A damaged file of a launch or a run keeps what may belong to it. With --json, nothing is deleted without --yes.

    Examples:
        ablate clean --dry-run
        ablate clean --yes
    """
    folder = Root.at(root)
    studies = every_study(folder.path, files or [])
    found = find(folder, studies, weights=weights)
    if not as_json:
        _print(found)
    for damage in unreadable(folder):
        typer.echo(f"kept what may belong to it: {damage}; delete it if its runs have ended", err=True)
    removes = bool(found) and not dry_run and (yes or (not as_json and _confirmed()))
    if removes:
        still = {
            one.path for one in find(folder, studies, weights=weights)
        }  # a worker may have started since the list was made
        remove(one for one in found if one.path in still)
    if as_json:
        print_json({"removed": removes, "leftovers": [_as_json(one) for one in found]})
    elif found:
        typer.echo("deleted" if removes else "nothing was deleted")
        for one in found if removes else ():
            if os.path.lexists(one.path):
                typer.echo(f"kept, because it is in use: {_shown(one.path)}")


def _confirmed() -> bool:
    try:
        return typer.confirm("Delete these files?")
    except typer.Abort:
        typer.echo("")
        return False


def _print(found: list[Leftover]) -> None:
    """Print one line per kind of file, with size and number; then every path."""
    if not found:
        typer.echo("there are no unused files")
        return
    rows: list[tuple[Any, ...]] = [("SIZE", "NUMBER", "WHAT")]
    for kind, meaning in KINDS.items():
        if of_kind := [one for one in found if one.kind == kind]:
            rows.append((size(sum(one.size for one in of_kind)), len(of_kind), meaning))
    print_columns([*rows, (size(sum(one.size for one in found)), len(found), "total")])
    for one in found:
        typer.echo(f"{one.kind}: {_shown(one.path)}{' (a link)' if one.path.is_symlink() else ''}")


def _shown(path: Path) -> str:
    """Return a path with its control characters escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(path))


def _as_json(one: Leftover) -> dict[str, Any]:
    path = os.fsencode(one.path).decode(errors="backslashreplace")  # JSON must be UTF-8; a file name may be any bytes
    return {"kind": one.kind, "path": path, "bytes": one.size}
