"""Verification of a report: its whole content is derived again from the records, and every difference is reported.

`manifest.json` lists what the report was made from, and `ablate.report.compare` defines when two values are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ablate.report import compare, figures_json, files, overview, record_changes
from ablate.report.content import Content
from ablate.report.figures import Figure, draw_all
from ablate.report.findings import Finding, findings
from ablate.report.manifest import Manifest
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.load import load
from ablate.study.study import Study

NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?!\w)")
OPTIONAL = (files.PAGE, overview.PAGE)  # rendered on request, and compared if they exist


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The result of verifying a report.

    Args:
        report: the name of its folder.
        numbers: how many numbers its texts, tables and figure data contain, all derived again.
        figures: how many figures were drawn again and compared by their data.
        differences: one sentence for each difference from the records, those of `causes` first.
        findings: problems with the records themselves.
        causes: one sentence for each record that was added, removed or edited since the report was written; the other
            differences may follow from them.
    """

    report: str
    numbers: int
    figures: int
    differences: list[str]
    findings: list[Finding]
    causes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Return whether the report equals the derived one, and its records are unchanged."""
        return not self.differences and not any(finding.grave for finding in self.findings)


def verify(folder: Path, root: Root, study: Study | None = None) -> Verification:
    """Verify the report in a folder against the records under a root.

    Args:
        study: the report's study; None loads it by the name in the manifest.

    Raises:
        SpecError: if the folder has no report with a manifest, or its study is not found.
    """
    made_from = _manifest(folder)
    study = study or load(made_from.study)
    folder = folder.absolute()
    options = made_from.seeds, made_from.models, made_from.local
    content = Content(study, study.scale(made_from.scale), root, folder, *options)
    figures = draw_all(content, rendered=False)
    causes = [*record_changes.other_records(made_from, content)]
    return Verification(
        report=folder.name,
        numbers=sum(_numbers(folder / name) for name in files.READ),
        figures=len(figures),
        differences=[*causes, *_differences(folder, content, figures)],
        findings=findings(content),
        causes=causes,
    )


def verify_overview(root: Root) -> Verification | None:
    """Verify the index of all reports; return None if there is no index."""
    if not any((root.reports / name).is_file() for name in (overview.INDEX, overview.PAGE)):
        return None
    differences = [*_compared(root.reports, overview.texts(root))]
    numbers = _numbers(root.reports / overview.INDEX)
    damaged = record_changes.damaged(root) if differences else []
    return Verification(report=overview.INDEX, numbers=numbers, figures=0, differences=differences, findings=damaged)


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise SpecError(f"{folder} must be the folder of a report, got no folder; write one: ablate report STUDY")
    return Manifest.read(folder)


def _numbers(path: Path) -> int:
    """Return how many numbers a file contains; 0 if it does not exist."""
    return len(NUMBER.findall(path.read_text(encoding="utf-8", errors="replace"))) if path.is_file() else 0


def _differences(folder: Path, content: Content, figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the differences between the files of a report and the derived ones."""
    yield from _compared(folder, files.texts(content, figures))
    if (path := folder / figures_json.NAME).is_file():
        written = path.read_text(encoding="utf-8", errors="replace")
        yield from compare.figures(figures_json.NAME, written, {figure.name: figure.data for figure in figures})
    else:
        yield f"{figures_json.NAME} is missing"
    shown = [f"{figure.name}.png" for figure in figures if figure.shown]
    yield from (f"{name} is missing" for name in shown if not (folder / name).is_file())
    drawable = {f"{figure.name}.{kind}" for figure in figures for kind in files.KINDS}
    for name in sorted(files.possible() - drawable):
        if (folder / name).exists():
            yield f"{name} must not exist: the records give nothing to show in this plot"


def _compared(folder: Path, derived: Mapping[str, str]) -> Iterator[str]:
    """Yield the differences between written and derived texts; a page may be missing."""
    for name, text in derived.items():
        path = folder / name
        if path.is_file():
            yield from compare.file(name, path.read_text(encoding="utf-8", errors="replace"), text)
        elif name not in OPTIONAL:
            yield f"{name} is missing"
