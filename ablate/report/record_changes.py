"""Why a report may not hold: records that are damaged, or that came, went or changed after it was written."""

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
    """Every file among the records that keeps something from being read, by the sentence that says why.

    Args:
        read: reads what is wanted of the records.
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
    """Records and measurements of speed that came, went or changed since the report was written."""
    now, names = content.manifest.records, {row.run.key: row.name for row in content.rows}
    for key in sorted({*written.records, *now}):
        before, after = written.records.get(key), now.get(key)
        what = f"the record {key}" + (f" ({names[key]})" if key in names else "")
        if before is None:
            yield f"{what} came after the report was written"
        elif after is None:
            yield f"{what} is gone, or of this study no more"
        elif before != after:
            yield f"{what} was edited after the report was written"
    mine, its = written.speeds, content.manifest.speeds
    for path in sorted({*mine, *its}):
        if mine.get(path) != its.get(path):
            how = "came" if path not in mine else "is gone" if path not in its else "was edited"
            yield f"the measurement {path} {how} after the report was written"
