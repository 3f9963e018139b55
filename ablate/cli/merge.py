"""The command that brings the results of another root into this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ablate.cli._options import Folder, Json, print_json
from ablate.results.merge import WEIGHTS, Found, Kind, compare, copy, copy_weights, results_of
from ablate.spec.errors import SpecError
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
    folder, results = Root.at(root), results_of(other)
    found = compare(results, folder)
    chosen = [one for one in found if one.kind == "new" or (force and one.kind == "conflicting")]
    weighty = [one for one in found if one.kind == "same" or one in chosen] if weights else []
    replaced, copied = {}, 0
    if not dry_run:
        folder.make_writable()
        replaced = {str(one.source): str(kept) for one in chosen if (kept := copy(one)) is not None}
        copied = sum(_copy_weights(one, results, folder) for one in weighty)
    if as_json:
        files = [_as_data(one, replaced.get(str(one.source), "")) for one in found]
        print_json({"copied": not dry_run, "files": files, "weights": copied})
    else:
        _print(found, replaced)
        what = "nothing was copied" if dry_run or not chosen else f"copied {len(chosen)} to {folder.results}"
        typer.echo(f"{what}{f', and {copied} files of weights' if copied else ''}")
    return int(any(one.kind == "damaged" or (one.kind == "conflicting" and not force) for one in found))


def _copy_weights(one: Found, results: Path, root: Root) -> bool:
    key = one.target.stem
    try:
        return copy_weights(results.parent / "runs" / key / WEIGHTS, root.run_folder(key) / WEIGHTS)
    except OSError as error:
        raise SpecError(f"cannot copy the weights of run {key}: {error.strerror}") from None


def _as_data(one: Found, kept: str) -> dict[str, str]:
    texts = {"kind": one.kind, "source": str(one.source), "target": str(one.target), "reason": one.reason}
    return {name: printable(text) for name, text in (texts | ({"replaced": kept} if kept else {})).items()}


def _print(found: Sequence[Found], replaced: dict[str, str]) -> None:
    """Print the number of each kind, then every file that is not the same."""
    number = Counter(one.kind for one in found)
    typer.echo(", ".join(f"{number[kind]} {kind}" for kind in KINDS))
    for one in found:
        if one.kind != "same":
            kept = replaced.get(str(one.source))
            more = [text for text in (one.reason, f"replaced; the one here is kept as {kept}" if kept else "") if text]
            typer.echo(printable(f"{one.kind:12} {one.source}" + "".join(f"\n{'':12} {text}" for text in more)))
