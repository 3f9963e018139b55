"""The command that brings the results of another root into this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ablate.cli._options import Folder, Json, print_json
from ablate.results.merge import Found, Kind
from ablate.results.merge import merge as merge_roots
from ablate.spec.printable import printable
from ablate.store.root import Root

KINDS: tuple[Kind, ...] = ("new", "same", "conflicting", "damaged")


def merge(
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="Another root, or its results folder.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files, and copy nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace conflicting ones, and keep those beside.")] = False,
    weights: Annotated[
        bool, typer.Option("--weights", help="Also copy the final weights of the records that are new or equal.")
    ] = False,
    root: Folder = None,
    as_json: Json = False,
) -> int:
    """Copy the records and speed measurements of another root into this one.

    Equal ones stay as they are. Conflicting ones are listed and not copied without --force; damaged ones never are. The
    exit code is 1 if one was not copied for such a reason.

    Examples:
        ablate merge ../other-machine --dry-run
        ablate merge /mnt/cluster/results
    """
    folder = Root.at(root)
    found = merge_roots(other, folder, dry_run=dry_run, force=force, weights=weights)
    if as_json:
        files = [_as_data(one, found.replaced.get(str(one.source), "")) for one in found.files]
        print_json({"copied": not dry_run, "files": files, "weights": found.weights})
    else:
        _print(found.files, found.replaced)
        nothing = dry_run or not found.copied
        what = "nothing was copied" if nothing else f"copied {len(found.copied)} to {folder.results}"
        typer.echo(f"{what}{f', and {found.weights} files of weights' if found.weights else ''}")
    return int(bool(found.left_out))


def _as_data(one: Found, kept: str) -> dict[str, str]:
    texts = {"kind": one.kind, "source": str(one.source), "target": str(one.target), "reason": one.reason}
    return {name: printable(text) for name, text in (texts | ({"replaced": kept} if kept else {})).items()}


def _print(found: Sequence[Found], replaced: Mapping[str, str]) -> None:
    """Print the number of each kind, then every file that is not the same."""
    number = Counter(one.kind for one in found)
    typer.echo(", ".join(f"{number[kind]} {kind}" for kind in KINDS))
    for one in found:
        if one.kind != "same":
            kept = replaced.get(str(one.source))
            more = [text for text in (one.reason, f"replaced; the one here is kept as {kept}" if kept else "") if text]
            typer.echo(printable(f"{one.kind:12} {one.source}" + "".join(f"\n{'':12} {text}" for text in more)))
