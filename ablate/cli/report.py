"""The command that writes reports: one study's, or all."""

from __future__ import annotations

from typing import Annotated

import typer

from ablate.cli._options import Folder, ScaleName, Seeds, _study_names

Name = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="Name of a study, or path of its file.", autocompletion=_study_names),
]
All = Annotated[bool, typer.Option("--all", help="Every study and scale with a record, and a page over all studies.")]
Models = Annotated[
    bool,
    typer.Option("--audit/--no-audit", help="Hold each variant's model against the control's; needs torch once."),
]


def report(
    name: Name = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    every: All = False,
    models: Models = True,
    root: Folder = None,
) -> None:
    """Write a study's report and print the path of its page.

    Example: ablate report quickstart
    Example: ablate report --all
    """
    from ablate.report import render
    from ablate.report.overview import write_all
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.study.load import load

    place = Root.at(root)
    if every:
        if name is not None or scale is not None or seeds is not None:
            raise SpecError("--all is given with a study, a scale or seeds; wanted is --all alone, or a study")
        page, pages = write_all(place, models=models)
        for path in (*pages, page):
            typer.echo(path)
        return
    if name is None:
        raise SpecError("report has neither a study nor --all; wanted is one of them")
    study = load(name)
    typer.echo(render(study, study.scale(scale), place, seeds, models=models))


COMMANDS = {"report": report}
