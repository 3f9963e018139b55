"""The command that removes what no study needs, after saying what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.cli._options import Folder, Json, print_columns, print_json

if TYPE_CHECKING:
    from ablate.leftovers import Leftover
    from ablate.paths import Root
    from ablate.study import Study


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

    Records stay, and so does what is worked on. JSON removes nothing without --yes.

    Example: ablate clean --dry-run
    """
    from ablate.leftovers import find, remove
    from ablate.paths import Root

    place = Root.at(root)
    found = find(place, _studies(files or [], place))
    removes = bool(found) and not dry_run and (yes or (not as_json and _agreed(found)))
    if removes:
        remove(found)
    if as_json:
        print_json({"removed": removes, "leftovers": [_as_json(one) for one in found]})
    elif yes or dry_run or not found:
        _say(found)
    if not as_json and found:
        typer.echo("removed" if removes else "nothing was removed")


def _studies(files: list[str], root: Root) -> list[Study]:
    """The named studies, those beside the root, and those given: what one of them asks for is needed.

    Raises:
        SpecError: when one cannot be read: nobody knows what it asks for.
    """
    from ablate.registry import SpecError
    from ablate.study import load, named

    beside = sorted(root.path.glob("studies/[!_]*.py"))
    try:
        return [load(path) for path in dict.fromkeys([*named().values(), *beside, *map(Path, files)])]
    except SpecError as error:
        raise SpecError(f"{error}; wanted is that every study can be read, so that its runs are kept") from None


def _agreed(found: list[Leftover]) -> bool:
    _say(found)
    try:
        return typer.confirm("Remove all this?")
    except typer.Abort:
        typer.echo("")
        return False


def _say(found: list[Leftover]) -> None:
    """A line a kind: how many, how large, what it is; then every folder of a run that would go."""
    from ablate.formats.units import size
    from ablate.leftovers import KINDS

    if not found:
        typer.echo("there is nothing that no study needs")
        return
    rows: list[tuple[Any, ...]] = [("SIZE", "NUMBER", "WHAT")]
    for kind, meaning in KINDS.items():
        if of_kind := [one for one in found if one.kind == kind]:
            rows.append((size(sum(one.size for one in of_kind)), len(of_kind), meaning))
    print_columns([*rows, (size(sum(one.size for one in found)), len(found), "in all")])
    for one in found:
        if one.kind == "runs":
            typer.echo(f"no study asks for {one.path}")


def _as_json(one: Leftover) -> dict[str, Any]:
    return {"kind": one.kind, "path": str(one.path), "bytes": one.size}


COMMANDS = {"clean": clean}
