"""The command that writes reports, of one study or of all."""

from __future__ import annotations

from typing import Annotated

import typer

from ablate.cli._options import Folder, OptionalName, ScaleName, Seeds
from ablate.cli._soundness import soundness_of, warn, warn_all
from ablate.report import render
from ablate.report.overview import write_all
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.load import load

All = Annotated[bool, typer.Option("--all", help="Every study and scale with a record, and an index of them.")]
Compare = Annotated[
    bool,
    typer.Option("--compare/--no-compare", help="Compare each variant's model with the control's; needs torch once."),
]

Force = Annotated[bool, typer.Option("--force", help="Replace a report that has rows without results here.")]


def report(
    name: OptionalName = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    every: All = False,
    compare: Compare = True,
    force: Force = False,
    root: Folder = None,
) -> int:
    """Write the report of a study, and print the path of its page.

    A report whose rows have no results here is not replaced. The exit code is 2 then, and when a record of the study
    was edited or damaged, which the report names.

    Examples:
        ablate report quickstart
        ablate report --all
    """
    folder = Root.at(root)
    if every:
        if name is not None or scale is not None or seeds is not None:
            raise SpecError("--all cannot be combined with a study, --scale or --seeds; leave them out")
        page, pages = write_all(folder, models=compare, force=force)
        for path in (*pages, page):
            typer.echo(path)
        return warn_all(folder)
    if name is None:
        raise SpecError("report needs either a study or --all, got neither")
    study = load(name)
    scale = study.scale(scale)
    typer.echo(render(study, scale, folder, seeds, models=compare, force=force))
    return warn(soundness_of(study, scale, folder, seeds, speeds=True))
