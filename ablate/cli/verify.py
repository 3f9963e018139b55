"""The command that holds reports against their records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._options import Folder, Json, print_json

if TYPE_CHECKING:
    from ablate.report.verification import Verification
    from ablate.store.root import Root

Reports = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REPORT]...", help="Names of reports, or their folders; by default all under reports/, and its index."
    ),
]
Source = Annotated[
    str | None, typer.Option("--study", help="The study's file, where it cannot be found by the name the report gives.")
]


def audit(reports: Reports = None, study: Source = None, as_json: Json = False, root: Folder = None) -> int:
    """Derive every number of reports again from the records, and say what is missing, mixed or edited.

    Without a report named, the index over all studies is derived again too. A float may differ by a relative 1e-5;
    pictures are not compared, what they show is.

    The exit code is 1 when a number does not come out the same, or a record is damaged or was edited.

    Example: ablate audit
    Example: ablate audit quickstart-digits
    """
    from ablate.report.verification import verify, verify_overview
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.study.load import load

    place = Root.at(root)
    of = load(study) if study else None
    index = None if reports else verify_overview(place)
    found = [verify(folder, place, of) for folder in _folders(reports, place)] + ([index] if index else [])
    if not found:
        raise SpecError(f"there is no report in {place.reports}; write one: ablate report STUDY")
    if as_json:
        print_json([asdict(one) | {"holds": one.holds} for one in found])
    else:
        for one in found:
            for line in _in_words(one):
                typer.echo(line)
    return int(not all(one.holds for one in found))


def _folders(reports: list[str] | None, root: Root) -> list[Path]:
    """The folders asked for, as a path or as the name of a report; all there are where none is."""
    if reports:
        return [root.reports / name if (root.reports / name).is_dir() else Path(name) for name in reports]
    return sorted({path.parent for name in ("manifest.json", "report.md") for path in root.reports.glob(f"*/{name}")})


def _in_words(found: Verification) -> Iterator[str]:
    verdict = "holds" if found.holds else "DOES NOT HOLD"
    yield f"{found.report}: {verdict} ({found.numbers:,} numbers derived again, {found.figures} figures)"
    yield from (f"    {'differs':12} {sentence}" for sentence in found.differences)
    yield from (f"    {finding.kind:12} {finding.sentence}" for finding in found.findings)


COMMANDS = {"audit": audit}
