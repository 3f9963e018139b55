"""What writing a report would take away: runs and speed measurements that the written one has.

A wrong root, or other options, would otherwise replace measured rows by empty ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ablate.report.content import Content
from ablate.report.findings import some
from ablate.report.manifest import NAME, Manifest
from ablate.spec.errors import SpecError
from ablate.study.study import Study

FORCE = "pass --force to write it all the same"


def refuse_losses(content: Content) -> None:
    """Refuse to write a report that lacks rows of the written one, though the study still has them.

    Raises:
        SpecError: with the rows that would be lost.
    """
    written = read(content.folder)
    lost = [*_lost_runs(written, content), *_lost_speeds(written, content)] if written else []
    if lost:
        rows = "row" if len(lost) == 1 else "rows"
        raise SpecError(
            f"the report {content.folder} was not replaced: it has {len(lost)} {rows} that the results in "
            f"{content.root.results} do not give ({some(lost)}); check --root, --scale and --seeds, or {FORCE}"
        )


def read(folder: Path) -> Manifest | None:
    """Return the manifest of the report in a folder; None if there is none, or a damaged one."""
    if not (folder / NAME).is_file():
        return None
    try:
        found = Manifest.read(folder)
    except SpecError:
        return None
    whole = isinstance(found.records, dict) and isinstance(found.speeds, dict)
    return found if whole else None


def _lost_runs(written: Manifest, content: Content) -> Iterator[str]:
    """Yield the runs of a written report that have no usable record now; all, if no run of it has one."""
    gone = set(written.records) - set(content.digests)
    names = _names(content.study, content.scale, len(written.records))
    if content.digests:
        gone &= set(names)  # the others are of an earlier version of the study
    yield from (f"{names.get(key, 'a run')} ({key})" for key in sorted(gone, key=lambda key: (names.get(key, ""), key)))


def _names(study: Study, scale: str, most: int) -> dict[str, str]:
    """Return what to call each run of a study with one of the first seeds, by key."""
    seeds = range(most)
    return {
        key: f"{variant.label}, seed {seed}"
        for variant in ([] if study.benchmark_only else study.variants(scale))
        for seed, key in zip(seeds, variant.run.keys(seeds), strict=True)
    }


def _lost_speeds(written: Manifest, content: Content) -> Iterator[str]:
    """Yield the measurements of a written report if there is none at all now."""
    if not content.manifest.speeds:
        yield from (f"the measurement {path}" for path in sorted(written.speeds))
