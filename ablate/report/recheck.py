"""A report held against its records: everything in it is derived again, and what does not come out the same is said.

The page says what it was made from. With the same versions of the packages that draw and count, every file must be the
same bytes; elsewhere texts must be the same, numbers in CSV equal to nine digits, and figures are not compared.
"""

from __future__ import annotations

import base64
import binascii
import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ablate import records
from ablate.paths import Root
from ablate.registry import SpecError
from ablate.report import files
from ablate.report.content import Content
from ablate.report.findings import Finding, findings
from ablate.report.manifest import Manifest
from ablate.report.overview import NAME, overview
from ablate.report.pieces import changed, pieces
from ablate.study import Study, load

RELATIVE = 1e-9
_SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
_MANIFEST = re.compile(r'<script type="application/json" id="manifest">.*?</script>', re.DOTALL)
_CSV = re.compile(r'(id="csv-(\w+)"[^>]* href="data:text/csv;charset=utf-8;base64,)([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What came of holding a report against the records.

    Args:
        report: the name of its folder.
        cells: cells of the page's tables that were derived again; of the page over all studies, its texts.
        figures: whether figures could be compared: they were drawn with the versions installed here. None where the
            page has none.
        differences: where the report does not say what the records give, a sentence each.
        findings: what is to know about the records themselves.
    """

    report: str
    cells: int
    figures: bool | None
    differences: list[str]
    findings: list[Finding]

    @property
    def holds(self) -> bool:
        """Whether everything is derived the same, from records that are as they were written."""
        return not self.differences and not any(finding.grave for finding in self.findings)


def recheck(folder: Path, root: Root, study: Study | None = None) -> Recheck:
    """Hold the report in a folder against the records under a root.

    Args:
        study: the study it is of; None finds it by the name the report gives.

    Raises:
        SpecError: when the folder holds no report that can be derived again, or its study is not found.
    """
    page = _page(folder)
    try:
        manifest = Manifest.of_page(page)
    except SpecError as error:
        raise SpecError(f"{folder} cannot be audited: {error}") from None
    study = study or load(manifest.study)
    folder = folder.absolute()
    content = Content(study, study.scale(manifest.scale), root, folder, manifest.seeds, manifest.models, manifest.local)
    cells = pieces(page)[1]
    if damaged := [Finding("damaged", sentence, grave=True) for sentence in _damaged(content)]:
        return Recheck(report=folder.name, cells=0, figures=False, differences=[], findings=damaged)
    differences = [*_other_records(manifest, content), *_differences(folder, content, figures=manifest.same_versions)]
    return Recheck(
        report=folder.name,
        cells=cells,
        figures=manifest.same_versions,
        differences=differences,
        findings=findings(content),
    )


def recheck_overview(root: Root) -> Recheck | None:
    """Hold the page over all studies against the studies and records there are; None where none was written."""
    path = root.reports / NAME
    if not path.is_file():
        return None
    page = _page(root.reports)
    try:
        derived = overview(root)
    except SpecError as error:  # records that cannot be read
        sentences = _unreadable(root.results) or [str(error)]
        damaged = [Finding("damaged", _bare_path(one, root), grave=True) for one in sentences]
        return Recheck(report=NAME, cells=0, figures=None, differences=[], findings=damaged)
    differences = [*_html(page, derived, figures=True)]
    return Recheck(report=NAME, cells=len(pieces(page)[0]), figures=None, differences=differences, findings=[])


def _bare_path(sentence: str, root: Root) -> str:
    """A sentence with paths as they are under the root."""
    return sentence.replace(f"{root.path}/", "")


def _page(folder: Path) -> str:
    path = folder / files.PAGE
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"cannot read a report in {folder}: {error}; wanted is a folder that ablate report wrote"
        ) from None


def _damaged(content: Content) -> Iterator[str]:
    """Every file among the records that cannot be read as one, or that stands for a run with two."""
    try:
        _ = content.found
    except SpecError as error:
        sentences = _unreadable(content.root.results) or [str(error)]
        yield from (_bare_path(sentence, content.root) for sentence in sentences)


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


def _other_records(manifest: Manifest, content: Content) -> Iterator[str]:
    """Records that came, went or changed since the report was written."""
    now, names = content.manifest.records, {row.run.key: row.name for row in content.rows}
    for key in sorted({*manifest.records, *now}):
        before, after = manifest.records.get(key), now.get(key)
        what = f"the record {key}" + (f" ({names[key]})" if key in names else "")
        if before is None:
            yield f"{what} came after the report was written"
        elif after is None:
            yield f"{what} is gone, or of this study no more"
        elif before != after:
            yield f"{what} was edited after the report was written"
    mine, its = manifest.speeds, content.manifest.speeds
    for path in sorted({*mine, *its}):
        if mine.get(path) != its.get(path):
            how = "came" if path not in mine else "is gone" if path not in its else "was edited"
            yield f"the measurement {path} {how} after the report was written"


def _differences(folder: Path, content: Content, *, figures: bool) -> Iterator[str]:
    """How the files of a report differ from those derived again."""
    derived = files.contents(content)
    for name, data in derived.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif (written := path.read_bytes()) != data:
            yield from _changed(name, written, data, figures=figures)
    for name in sorted(files.possible() - set(derived)):
        if (folder / name).exists():
            yield f"{name} is not what the records give: the plot has nothing to show"


def _changed(name: str, written: bytes, derived: bytes, *, figures: bool) -> Iterator[str]:
    if name.endswith(files.KINDS):
        if figures:
            yield f"{name} is not the figure that the records give"
        return
    one, other = written.decode(errors="replace"), derived.decode()
    if name.endswith(".csv"):
        yield from _csv(name, one, other)
    elif name.endswith(".html"):
        yield from _html(one, other, figures=figures)
    else:
        yield from _lines(name, one, other)


def _lines(name: str, written: str, derived: str) -> Iterator[str]:
    mine, its = written.splitlines(), derived.splitlines()
    if len(mine) != len(its):
        yield f"{name} has {len(mine)} lines, the records give {len(its)}"
    for number, (one, other) in enumerate(zip(mine, its, strict=False), 1):
        if one != other:
            yield f"{name}, line {number}, is {one!r}; the records give {other!r}"
            return


def _csv(name: str, written: str, derived: str) -> Iterator[str]:
    """Cells that differ, as numbers where both are numbers."""
    (head, *mine), (head_wanted, *its) = (list(csv.reader(text.splitlines())) or [[]] for text in (written, derived))
    if head != head_wanted or [len(row) for row in mine] != [len(row) for row in its]:
        yield f"{name} has other rows or columns than the records give"
        return
    for row, other_row in zip(mine, its, strict=True):
        for column, one, other in zip(head, row, other_row, strict=True):
            if one != other and not _close(one, other):
                yield f"{name}, {other_row[0]}, {column} is {one or 'empty'}; the records give {other or 'nothing'}"


def _close(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=RELATIVE)
    except ValueError:
        return False


def _html(written: str, derived: str, *, figures: bool) -> Iterator[str]:
    """Texts that differ; where there are none, the tables to download, and at last the markup."""
    said = [*changed(written, derived)]
    mine, its = ({name: _decoded(data) for _, name, data in _CSV.findall(page)} for page in (written, derived))
    for name, text in its.items():
        said += _csv(f"{name}.csv inside the page", mine.get(name, ""), text)
    yield from said
    one, other = (_bare(page, figures=figures) for page in (written, derived))
    if not said and one != other:
        at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        yield f"the page's markup is not what the records give, near {one[max(0, at - 40) : at + 40]!r}"


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode(errors="replace")
    except binascii.Error:
        return ""


def _bare(page: str, *, figures: bool) -> str:
    """A page without what is compared otherwise."""
    page = _CSV.sub(r'\1"', _MANIFEST.sub("", page))
    return page if figures else _SVG.sub("", page)
