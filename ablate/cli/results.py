"""Commands about results: the table, the plots, the report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._options import Folder, Json, Name, ScaleName, Seeds

if TYPE_CHECKING:
    import pandas as pd

    from ablate.paths import Root
    from ablate.study import Study


def _plot_names(incomplete: str) -> list[str]:
    """Shell completion of a plot's name."""
    from ablate.plots import PLOTS

    return [name for name in PLOTS if name.startswith(incomplete)]


Format = Annotated[str, typer.Option("--format", help="text, md, tex, csv, html or json.")]
Plots = Annotated[
    list[str] | None,
    typer.Option("--plot", help="A plot's name; may be given several times.", autocompletion=_plot_names),
]


def table(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    style: Format = "text",
    as_json: Json = False,
    root: Folder = None,
) -> None:
    """Print the table of a study's variants.

    Example: ablate table quickstart --format md
    """
    from ablate.formats import render
    from ablate.paths import Root
    from ablate.study import load

    study = load(name)
    rows = summary(study, study.scale(scale), seeds, Root.at(root))
    if style == "text" and not as_json:
        print_table(rows)
    else:
        typer.echo(render(rows, "json" if as_json else style), nl=False)


def print_table(rows: pd.DataFrame) -> None:
    """The table on a terminal, as wide as that is; wide enough for everything elsewhere."""
    from ablate.display import open_console
    from ablate.formats import as_text, terminal

    if sys.stdout.isatty():
        open_console(sys.stdout).print(terminal(rows))
    else:
        typer.echo(as_text(rows), nl=False)


def summary(study: Study, scale: str, seeds: int | None, root: Root) -> pd.DataFrame:
    """A row a variant of a study, from the records under the root."""
    from ablate.table import frame, summarise

    return summarise(frame(study, scale, seeds=seeds, root=root.path), study.seed_count(scale, seeds))


def plot(name: Name, scale: ScaleName = None, seeds: Seeds = None, plots: Plots = None, root: Folder = None) -> None:
    """Draw a study's plots as SVG and PNG into its report's folder, and print the files' names.

    Example: ablate plot quickstart --plot accuracy_params
    """
    from ablate.paths import Root
    from ablate.plots import PLOTS
    from ablate.report import write_plots
    from ablate.study import load

    study, place = load(name), Root.at(root)
    chosen = [PLOTS.check(plot) for plot in plots or PLOTS]
    for path in write_plots(study, study.scale(scale), place, chosen, seeds):
        typer.echo(path)


def report(name: Name, scale: ScaleName = None, seeds: Seeds = None, root: Folder = None) -> None:
    """Write a study's report and print the path of its page.

    Example: ablate report quickstart
    """
    from ablate.paths import Root
    from ablate.report import render
    from ablate.study import load

    study = load(name)
    typer.echo(render(study, study.scale(scale), Root.at(root), seeds))


COMMANDS = {"table": table, "plot": plot, "report": report}
