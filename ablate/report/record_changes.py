"""Reasons why a report may not hold: records that are damaged, or were added, removed or edited since."""

from __future__ import annotations

from collections.abc import Iterator

from ablate.measure import record as speed_record
from ablate.report.content import Content
from ablate.report.findings import Finding, relative
from ablate.report.manifest import Manifest
from ablate.store import rows
from ablate.store.root import Root


def damaged(root: Root) -> list[Finding]:
    """Return a finding for every record and speed measurement that was edited or damaged."""
    sentences = [*rows.read(root.results).damage.values(), *speed_record.damage(root.results).values()]
    return [Finding("damaged", relative(sentence, root), grave=True) for sentence in sentences]


def other_records(written: Manifest, content: Content) -> Iterator[str]:
    """Yield a sentence per record or speed measurement added, removed or edited since the report was written."""
    now, names = content.manifest.records, {row.run.key: row.name for row in content.rows}
    for key in sorted({*written.records, *now}):
        before, after = written.records.get(key), now.get(key)
        what = f"the record {key}" + (f" ({names[key]})" if key in names else "")
        if key in content.evidence.damaged:
            continue  # a finding names it
        if before is None:
            yield f"{what} was added after the report was written"
        elif after is None:
            yield f"{what} was removed, or does not belong to this study any more"
        elif before != after:
            yield f"{what} was edited after the report was written"
    mine, its = written.speeds, content.manifest.speeds
    for path in sorted({*mine, *its}):
        if mine.get(path) != its.get(path) and not any(path in sentence for sentence in content.damaged_speeds):
            how = "added" if path not in mine else "removed" if path not in its else "edited"
            yield f"the measurement {path} was {how} after the report was written"
