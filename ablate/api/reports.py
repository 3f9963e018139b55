"""Tables of results, and reports with their verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ablate.api.arguments import Folder, StudyLike
from ablate.results import tables
from ablate.spec.errors import SpecError, unknown
from ablate.store.root import Root
from ablate.study.load import as_study
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.report.verification import Verification

TABLES = {"variants": tables.summary, "seeds": tables.over_seeds, "images": tables.over_images}


def table(
    study: StudyLike,
    scale: str | None = None,
    *,
    by: str = "variants",
    seeds: int | None = None,
    root: Folder = None,
) -> pd.DataFrame:
    """Return a table of results.

    Args:
        by: "variants" gives means and 95 % t intervals of every measure (see `ablate.summarise`); "seeds" the
            differences from the control over seeds, with p values; "images" those per test image.
    """
    if by not in TABLES:
        raise unknown("table", by, TABLES)
    chosen = as_study(study)
    return TABLES[by](chosen, chosen.scale(scale), seeds, Root.at(root))


def write_report(
    study: StudyLike,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    compare: bool = True,
    force: bool = False,
    root: Folder = None,
) -> Path:
    """Write the report of a study, and return the path of its page.

    Args:
        compare: compare each variant's model with the control's, which needs torch once.
        force: replace a report that has rows without results here.

    Raises:
        SpecError: when the written report has rows that this one lacks, or the study has no name.
    """
    from ablate.report import render

    chosen = as_study(study)
    if not chosen.source and chosen.name == Study.name:
        raise SpecError("a study needs a name for the folder of its report; pass name=... to Study")
    return render(chosen, chosen.scale(scale), Root.at(root), seeds, models=compare, force=force)


def verify(*reports: str | Path, study: StudyLike | None = None, root: Folder = None) -> list[Verification]:
    """Derive reports again from the records, and return what differs; `holds` of each tells whether it matches.

    Args:
        reports: names or folders; by default all under `reports/`, and their index.
        study: of the reports; None loads it by the name in the report.

    Raises:
        SpecError: when there is no report.
    """
    from ablate.report.verification import verify as verify_report
    from ablate.report.verification import verify_overview

    folder = Root.at(root)
    given = None if study is None else as_study(study)
    index = None if reports else verify_overview(folder)
    found = [verify_report(path, folder, given) for path in _folders(reports, folder)] + ([index] if index else [])
    if not found:
        raise SpecError(f"{folder.reports} has no report; write one: ablate report STUDY")
    return found


def _folders(reports: Sequence[str | Path], root: Root) -> list[Path]:
    """Return the folders of reports, given by path or name; by default of all."""
    if reports:
        return [root.reports / name if (root.reports / name).is_dir() else Path(name) for name in reports]
    return sorted({path.parent for name in ("manifest.json", "report.md") for path in root.reports.glob(f"*/{name}")})
