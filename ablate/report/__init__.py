"""A study's report: one page that opens from disk, with its tables and plots as files in the same folder.

Its content does not depend on when or where it is written, except for the last digits of floats and the pixels of
figures, which may differ between processors. `ablate.report.verification` derives a report again and compares the two.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ablate.report import files
from ablate.report.content import Content
from ablate.report.losses import refuse_losses
from ablate.store.root import Root, write_atomically
from ablate.study.study import Study


def render(
    study: Study, scale: str, root: Root, seeds: int | None = None, *, models: bool = True, force: bool = False
) -> Path:
    """Write `reports/STUDY-SCALE/`: the page, its Markdown version, tables, plots and their data.

    Args:
        seeds: the first N seeds; None is the study's number.
        models: whether to compare each variant's model with the control's; new architectures need torch.
        force: whether to replace a report that has more rows.

    Returns:
        The path of the page, `index.html`.

    Raises:
        SpecError: when the written report has rows that this one lacks.
    """
    content = gather(study, scale, root, seeds, models=models)
    if not force:
        refuse_losses(content)
    found = files.contents(content)
    for name in files.possible() - set(found):
        (content.folder / name).unlink(missing_ok=True)  # of a plot that has nothing to show now
    for name, data in found.items():
        write_atomically(content.folder / name, data, durable=False)
    return content.folder / files.PAGE


def gather(study: Study, scale: str, root: Root, seeds: int | None = None, *, models: bool = True) -> Content:
    """Gather the content of a study's report."""
    scale = study.scale(scale)
    return Content(study, scale, root, root.reports / folder_of(study, scale), seeds, models)


def folder_of(study: Study, scale: str) -> str:
    """Return the name of a report's folder; with a digest where another study and scale would have the same name."""
    name = f"{study.name}-{scale}"
    plain = re.sub(r"[^\w.-]", "_", name)
    if plain == name and "-" not in scale:
        return name
    return f"{plain}-{hashlib.sha256(repr((study.name, scale)).encode()).hexdigest()[:6]}"
