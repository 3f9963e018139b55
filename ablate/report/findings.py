"""What a reader should know before trusting a report: missing, mixed, edited or confounded results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablate.report.content import Content
from ablate.report.facts import Fact, Row
from ablate.spec.printable import printable
from ablate.store.root import Root

SHOWN = 6  # names in a sentence; the rest are counted


@dataclass(frozen=True)
class Finding:
    """One problem with the results.

    Args:
        kind: its kind in one or two words, such as "missing" or "mixed".
        sentence: its description, with the runs or variants concerned.
        grave: whether the numbers cannot be trusted; verification fails.
    """

    kind: str
    sentence: str
    grave: bool = False


def findings(content: Content) -> list[Finding]:
    """Return all findings about a study's records, the grave ones first."""
    found = [*_of_runs(content), *_of_facts(content), *_of_models(content), *_of_speeds(content)]
    return sorted(found, key=lambda finding: not finding.grave)


def _of_runs(content: Content) -> Iterator[Finding]:
    """Yield findings about records that are edited, missing or incomplete."""
    recorded = [(row, row.record) for row in content.measured if row.record is not None]
    if edited := [row for row, record in recorded if record.checksum not in (None, content.digests[record.key])]:
        yield Finding("edited", f"the checksum does not match the record of {_runs(edited)}", grave=True)
    found, lost = content.evidence, [row for row in content.unmeasured if row.run.key in content.evidence.damaged]
    for row in lost:
        yield Finding("damaged", relative(found.damaged[row.run.key], content.root), grave=True)
    if other := [row for row in content.unmeasured if row.run.key in found.other_data]:
        yield Finding("other data", f"left out, because the data have changed since: {_runs(other)}")
    rest = [row for row in content.unmeasured if row not in lost]
    yield from (Finding("failed", f"{row.name}: {row.error}") for row in rest if row.error)
    if missing := [row for row in rest if not row.error]:
        yield Finding("missing", f"not measured: {some([row.name for row in missing])}")
    if dirty := [row for row, record in recorded if record.provenance.get("dirty")]:
        yield Finding("dirty", f"made from a source tree with uncommitted changes: {_runs(dirty)}")
    if broken := [row for row in content.measured if row.replaced]:
        yield Finding("replaced", f"trained with grey images in place of unreadable ones: {_runs(broken)}")


def _of_facts(content: Content) -> Iterator[Finding]:
    """Yield what differs between runs and should not."""
    for fact in (*content.environment, *(fact for found in content.datasets.values() for fact in found)):
        if fact.mixed:
            yield Finding("mixed", f"{fact.name}: {_values(fact)}")


def _of_models(content: Content) -> Iterator[Finding]:
    """Yield variants that do not depend on the whole image, or change more than the declared factor."""
    yield from (
        Finding("receptive field", f"“{compared.variant}”: {compared.receptive_field_gap}")
        for compared in content.comparisons
        if compared.receptive_field_gap
    )
    if confounded := [f"“{compared.variant}”" for compared in content.comparisons if compared.also_changes]:
        yield Finding("confounded", f"more than the declared factor changes in {some(confounded)}")


def _of_speeds(content: Content) -> Iterator[Finding]:
    """Yield speed measurements with drift of the machine, with unknown drift, or with missing windows."""
    for sentence in content.damaged_speeds:
        yield Finding("damaged", relative(sentence, content.root), grave=True)
    if unchecked := [one for one in content.speeds if one.found.checksum is None]:
        names = some(list(dict.fromkeys(one.variant for one in unchecked)))
        yield Finding("unchecked", f"{len(unchecked)} speed measurements are older than checksums: {names}")
    rows = list(content.speed.itertuples())
    if drifted := dict.fromkeys(str(row.variant) for row in rows if row.drifted):
        yield Finding("drift", f"the speed of the machine changed during the measurement: {some(list(drifted))}")
    if unknown := dict.fromkeys(str(row.variant) for row in rows if not row.drift_known and not row.drifted):
        yield Finding("drift", f"whether the speed of the machine changed is unknown: {some(list(unknown))}")
    if partial := dict.fromkeys(str(row.variant) for row in rows if not row.complete):
        yield Finding("incomplete", f"fewer windows than requested, in some mode: {some(list(partial))}")


def relative(sentence: str, root: Root) -> str:
    """Return a sentence with paths relative to the root, which do not depend on the machine."""
    return printable(sentence.replace(f"{root.path}/", ""))


def _values(fact: Fact) -> str:
    (usual, rows), *odd = fact.values.items()
    return "; ".join([f"{usual} ({_count(rows)})", *(f"{value} ({_runs(rows)})" for value, rows in odd)])


def _runs(rows: Sequence[Row]) -> str:
    return some([f"{row.name} ({row.run.key})" for row in rows])


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} run{'s' * (len(rows) != 1)}"


def some(names: Sequence[str]) -> str:
    """Return the first few names, and the number of the others."""
    more = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
