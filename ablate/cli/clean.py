"""The command that removes what no study needs, after saying what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json

if TYPE_CHECKING:
    from ablate.dispatch.cleanup import Leftover
    from ablate.store.root import Root
    from ablate.study.study import Study


def clean(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY]...", help="Files of studies beside the named ones: their runs are kept too."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    as_json: Json = False,
    root: Folder = None,
) -> None:
    """Say what no study needs under runs/ and in the cache, with its size; then remove it, if you agree.

    Every path that would go is listed. Records stay, and so does what is worked on and what lies behind a symbolic
    link. JSON removes nothing without --yes.

    Example: ablate clean --dry-run
    """
    from ablate.dispatch.cleanup import find, remove
    from ablate.store.root import Root

    place = Root.at(root)
    studies = _studies(files or [], place)
    found = find(place, studies)
    if not as_json:
        _say(found)
    removes = bool(found) and not dry_run and (yes or (not as_json and _agreed()))
    if removes:
        still = {one.path for one in find(place, studies)}  # somebody may have begun to work since it was listed
        remove(one for one in found if one.path in still)
    if as_json:
        print_json({"removed": removes, "leftovers": [_as_json(one) for one in found]})
    elif found:
        typer.echo("removed" if removes else "nothing was removed")
        for one in found if removes else ():
            if os.path.lexists(one.path):
                typer.echo(f"kept, as somebody works on it: {_shown(one.path)}")


def _studies(files: list[str], root: Root) -> list[Study]:
    """The named studies, those beside the root, and those given: what one of them asks for is needed.

    Raises:
        SpecError: when one cannot be read: nobody knows what it asks for.
    """
    from ablate.spec.errors import SpecError
    from ablate.study.load import load, named

    beside = sorted(root.path.glob("studies/[!_]*.py"))
    try:
        return [load(path) for path in dict.fromkeys([*named().values(), *beside, *map(Path, files)])]
    except SpecError as error:
        raise SpecError(f"{error}; wanted is that every study can be read, so that its runs are kept") from None


def _agreed() -> bool:
    try:
        return typer.confirm("Remove all this?")
    except typer.Abort:
        typer.echo("")
        return False


def _say(found: list[Leftover]) -> None:
    """A line a kind: how many, how large, what it is; then every path that would go."""
    from ablate.dispatch.cleanup import KINDS
    from ablate.results.formats.units import size

    if not found:
        typer.echo("there is nothing that no study needs")
        return
    rows: list[tuple[Any, ...]] = [("SIZE", "NUMBER", "WHAT")]
    for kind, meaning in KINDS.items():
        if of_kind := [one for one in found if one.kind == kind]:
            rows.append((size(sum(one.size for one in of_kind)), len(of_kind), meaning))
    print_columns([*rows, (size(sum(one.size for one in found)), len(found), "in all")])
    for one in found:
        what = "no study asks for" if one.kind == "runs" else f"{one.kind}:"
        typer.echo(f"{what} {_shown(one.path)}{' (a link)' if one.path.is_symlink() else ''}")


def _shown(path: Path) -> str:
    """A path as a terminal can show it, whatever bytes are in it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(path))


def _as_json(one: Leftover) -> dict[str, Any]:
    path = os.fsencode(one.path).decode(errors="backslashreplace")  # JSON is UTF-8, and a name any bytes
    return {"kind": one.kind, "path": path, "bytes": one.size}


COMMANDS = {"clean": clean}
