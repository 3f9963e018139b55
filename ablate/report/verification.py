"""A report compared with its records: everything it says is derived again, and what does not come out the same is told.

`manifest.json` says what the report was made from, and `ablate.report.compare` what counts as the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
OPTIONAL = (files.PAGE, overview.PAGE)  # rendered when wanted, and compared where it is there


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What came of holding a report against the records.

    Args:
        report: the name of its folder.
        numbers: how many numbers its texts, tables and figures' data hold, each derived again.
        figures: how many figures were drawn again, and their data compared.
        differences: where the report does not say what the records give, a sentence each.
        findings: what is to know about the records themselves.
    """

    report: str
    numbers: int
    figures: int
    differences: list[str]
    findings: list[Finding]

    @property
    def holds(self) -> bool:
        """Whether everything is derived the same, from records that are as they were written."""
        return not self.differences and not any(finding.grave for finding in self.findings)


def verify(folder: Path, root: Root, study: Study | None = None) -> Verification:
    """Hold the report in a folder against the records under a root.

    Args:
        study: the study it is of; None finds it by the name the report gives.

    Raises:
        SpecError: when the folder holds no report that can be derived again, or its study is not found.
    """
    made_from = _manifest(folder)
    study = study or load(made_from.study)
    folder = folder.absolute()
    options = made_from.seeds, made_from.models, made_from.local
    content = Content(study, study.scale(made_from.scale), root, folder, *options)
    if damaged := record_changes.damaged(root, lambda: content.found):
        return Verification(report=folder.name, numbers=0, figures=0, differences=[], findings=damaged)
    figures = draw_all(content, rendered=False)
    differences = [*record_changes.other_records(made_from, content), *_differences(folder, content, figures)]
    return Verification(
        report=folder.name,
        numbers=sum(_numbers(folder / name) for name in files.READ),
        figures=len(figures),
        differences=differences,
        findings=findings(content),
    )


def verify_overview(root: Root) -> Verification | None:
    """Compare the index of all reports with the studies and records there are; None where none was written."""
    if not any((root.reports / name).is_file() for name in (overview.INDEX, overview.PAGE)):
        return None
    derived: dict[str, str] = {}
    damaged = record_changes.damaged(root, lambda: derived.update(overview.texts(root)))
    differences = [*_compared(root.reports, derived)]
    numbers = _numbers(root.reports / overview.INDEX)
    return Verification(report=overview.INDEX, numbers=numbers, figures=0, differences=differences, findings=damaged)


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise SpecError(f"there is no folder {folder}; wanted is one that ablate report wrote")
    return Manifest.read(folder)


def _numbers(path: Path) -> int:
    """How many numbers a file holds; none where it is not there."""
    return len(NUMBER.findall(path.read_text(encoding="utf-8", errors="replace"))) if path.is_file() else 0


def _differences(folder: Path, content: Content, figures: Sequence[Figure]) -> Iterator[str]:
    """How the files of a report differ from those derived again."""
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
            yield f"{name} is not what the records give: the plot has nothing to show"


def _compared(folder: Path, derived: Mapping[str, str]) -> Iterator[str]:
    """How written texts differ from derived ones; a page need not be there."""
    for name, text in derived.items():
        path = folder / name
        if path.is_file():
            yield from compare.file(name, path.read_text(encoding="utf-8", errors="replace"), text)
        elif name not in OPTIONAL:
            yield f"{name} is missing"
