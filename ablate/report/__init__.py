"""A study's report: one page that opens from disk, with its tables and plots as files beside it.

Nothing in it depends on when or where it is written, but for the last digits of floats and the pictures, which may
differ between processors. `ablate.report.verification` derives a report again and says where it does not hold.
"""

from __future__ import annotations

import re
from pathlib import Path

from ablate.report import files
from ablate.report.content import Content
from ablate.store.root import Root, write_atomically
from ablate.study.study import Study


def render(study: Study, scale: str, root: Root, seeds: int | None = None, *, models: bool = True) -> Path:
    """Write `reports/STUDY-SCALE/`: the page, its Markdown twin, the tables' files, the plots and their data.

    Args:
        seeds: only the first so many seeds; None is all there are.
        models: whether to hold each variant's model against the control's; architectures not seen before need torch.

    Returns:
        The path of the page, `index.html`.
    """
    content = gather(study, scale, root, seeds, models=models)
    found = files.contents(content)
    for name in files.possible() - set(found):
        (content.folder / name).unlink(missing_ok=True)  # of a plot that has nothing to show any more
    for name, data in found.items():
        write_atomically(content.folder / name, data, durable=False)
    return content.folder / files.PAGE


def gather(study: Study, scale: str, root: Root, seeds: int | None = None, *, models: bool = True) -> Content:
    """What the report of a study says."""
    scale = study.scale(scale)
    return Content(study, scale, root, root.reports / folder_of(study, scale), seeds, models)


def folder_of(study: Study, scale: str) -> str:
    """The name of a report's folder."""
    return re.sub(r"[^\w.-]", "_", f"{study.name}-{scale}")
