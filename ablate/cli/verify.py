"""The command that checks reports against the recorded results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from ablate.api.reports import verify as verify_reports
from ablate.cli._options import Folder, Json, print_json
from ablate.report.verification import Verification

Reports = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="REPORT", help="Names or folders of reports; by default all under reports/, and their index."
    ),
]
Source = Annotated[
    str | None, typer.Option("--study", help="File of the study, where the name in the report does not lead to it.")
]


def verify(reports: Reports = None, source: Source = None, root: Folder = None, as_json: Json = False) -> int:
    """Check that reports match the recorded results.

    Every number is computed again from the records. Floats may differ by a relative 1e-5. Images are not compared;
    the data they show is.

    A damaged or changed record comes first, and the differences that may follow from it are counted. The exit code is 1
    when a number differs, or when a record is damaged or was edited.

    Examples:
        ablate verify
        ablate verify quickstart-digits
    """
    found = verify_reports(*reports or (), study=source, root=root)
    if as_json:
        print_json([asdict(one) | {"holds": one.holds} for one in found])
    else:
        for one in found:
            for line in _sentences(one):
                typer.echo(line)
    return int(not all(one.holds for one in found))


def _sentences(found: Verification) -> Iterator[str]:
    """Yield what was found: damaged and changed records first, then what follows from them in one line."""
    result = "matches" if found.holds else "DOES NOT MATCH"
    yield f"{found.report}: {result} ({found.numbers:,} numbers computed again, {found.figures} figures)"
    grave = [finding for finding in found.findings if finding.grave]
    yield from (f"    {finding.kind:12} {finding.sentence}" for finding in grave)
    yield from (f"    {'changed':12} {sentence}" for sentence in found.causes)
    rest = found.differences[len(found.causes) :]
    if rest and (grave or found.causes):
        yield f"    {'follows':12} {_count(rest)}; --json lists them"
    else:
        yield from (f"    {'differs':12} {sentence}" for sentence in rest)
    yield from (f"    {finding.kind:12} {finding.sentence}" for finding in found.findings if not finding.grave)


def _count(differences: list[str]) -> str:
    """Return how many differences there are, and in which files."""
    names = dict.fromkeys(sentence.split()[0].rstrip(",") for sentence in differences if "." in sentence.split()[0])
    where = f" (in {', '.join(names)})" if names else ""
    return f"{len(differences)} {'difference' if len(differences) == 1 else 'differences'} from the records{where}"
