"""Reasons why a report may not hold: records that are damaged, or were added, removed or edited since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ablate.report.content import Content
from ablate.report.findings import Finding
from ablate.report.manifest import Manifest
from ablate.spec.errors import SpecError
from ablate.store import records
from ablate.store.root import Root


def damaged(root: Root, read: Callable[[], object]) -> list[Finding]:
    """Return a finding for every record that cannot be read, with the reason.

    Args:
        read: reads the records that the report needs.
    """
    try:
        read()
    except SpecError as error:
        sentences = _unreadable(root.results) or [str(error)]
        return [Finding("damaged", one.replace(f"{root.path}/", ""), grave=True) for one in sentences]
    return []


def _unreadable(results: Path) -> list[str]:
    found = []
    try:
        for path in records.index(results).values():
            try:
                records.read(path)
            except SpecError as error:
                found.append(str(error))
    except SpecError as error:
        found.append(str(error))
    return found


def other_records(written: Manifest, content: Content) -> Iterator[str]:
    """Yield a sentence per record or speed measurement added, removed or edited since the report was written."""
    now, names = content.manifest.records, {row.run.key: row.name for row in content.rows}
    for key in sorted({*written.records, *now}):
        before, after = written.records.get(key), now.get(key)
        what = f"the record {key}" + (f" ({names[key]})" if key in names else "")
        if before is None:
            yield f"{what} was added after the report was written"
        elif after is None:
            yield f"{what} was removed, or does not belong to this study any more"
        elif before != after:
            yield f"{what} was edited after the report was written"
    mine, its = written.speeds, content.manifest.speeds
    for path in sorted({*mine, *its}):
        if mine.get(path) != its.get(path):
            how = "added" if path not in mine else "removed" if path not in its else "edited"
            yield f"the measurement {path} was {how} after the report was written"
