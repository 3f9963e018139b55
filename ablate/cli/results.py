"""Commands about results: the tables, the claims, the runs as a file, the plots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.cli._options import Folder, Json, Name, ScaleName, Seeds, print_json

if TYPE_CHECKING:
    import pandas as pd

    from ablate.results.formats import Sheet
    from ablate.store.root import Root
    from ablate.study.study import Study

UNDECIDED = 3  # the exit code where claims are neither supported nor contradicted


def _plot_names(incomplete: str) -> list[str]:
    """Shell completion of a plot's name."""
    from ablate.report.plots import PLOTS

    return [name for name in PLOTS if name.startswith(incomplete)]


Mode = Annotated[
    str | None,
    typer.Option("--mode", help="Joins the speed measured in a mode, such as bf16-compile-nchw-inference."),
]
Device = Annotated[
    str | None, typer.Option("--device", help="The device of that speed, where it was measured on several.")
]
Format = Annotated[str, typer.Option("--format", help="text, md, tex, csv, html or json.")]
Plots = Annotated[
    list[str] | None,
    typer.Option("--plot", help="A plot's name; may be given several times.", autocompletion=_plot_names),
]
Kinds = Annotated[list[str] | None, typer.Option("--format", help="svg, png or pdf; may be given several times.")]
Width = Annotated[
    str, typer.Option(help="Of the figures: half or full of a page, or inches; as in the report if left out.")
]


def table(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    stats: Annotated[bool, typer.Option("--stats", help="Differences to the control, over seeds.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Differences to the control, picture by picture.")] = False,
    mode: Mode = None,
    device: Device = None,
    style: Format = "text",
    as_json: Json = False,
    root: Folder = None,
) -> None:
    """Print the table of a study's variants, or its statistics; "paper" gives the paper's own table.

    Example: ablate table quickstart --format md
    """
    from ablate.results.formats import render
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root

    if stats and images:
        raise SpecError("--stats and --images are two tables; wanted is one of them")
    kind = "stats" if stats else "images" if images else ""
    if kind and (mode or device):
        raise SpecError(f"--mode and --device are of the table of variants; wanted is --{kind} without them")
    made = _table(name, scale, seeds, Root.at(root), kind, (mode, device))
    if style == "text" and not as_json:
        print_table(made)
    else:
        typer.echo(render(made, "json" if as_json else style), nl=False)


def _table(
    name: str, scale: str | None, seeds: int | None, root: Root, kind: str, where: tuple[str | None, str | None]
) -> Sheet:
    """The table asked for; without a scale of its own to look at, the study `paper` is the paper's table."""
    from ablate.results.paper import NAME, SCALE
    from ablate.study.load import load

    if name == NAME and scale in (None, SCALE) and not kind:
        return _paper(root, *where)
    study = load(name)
    scale = study.scale(scale)
    if kind:
        return (_over_seeds if kind == "stats" else _over_images)(study, scale, seeds, root)
    return _comparison(study, scale, seeds, root, *where)


def _comparison(study: Study, scale: str, seeds: int | None, root: Root, mode: str | None, device: str | None) -> Sheet:
    """The variants, with speeds of a mode and device where one is asked for."""
    from ablate.measure import frames as speed_frames
    from ablate.results.formats import comparison
    from ablate.spec.errors import SpecError

    if device is not None and mode is None:
        raise SpecError(f"--device is {device!r} without --mode; wanted is a mode that was measured on it")
    rows = summary(study, scale, seeds, root)
    return comparison(
        rows if mode is None else speed_frames.join(rows, speed_frames.frame(root, study, scale), mode, device)
    )


def _over_seeds(study: Study, scale: str, seeds: int | None, root: Root) -> Sheet:
    """Differences to the control, over seeds."""
    from ablate.results.contrasts import over_seeds
    from ablate.results.formats import contrasts
    from ablate.results.table import frame

    runs = frame(study, scale, seeds=seeds, root=root.path)
    return contrasts.over_seeds(over_seeds(runs), str(runs["variant"].cat.categories[0]))


def _over_images(study: Study, scale: str, seeds: int | None, root: Root) -> Sheet:
    """Differences to the control, picture by picture."""
    from ablate.results.contrasts import over_images
    from ablate.results.formats import contrasts
    from ablate.results.table import study_records

    label_of = {variant.run: variant.label for variant in study.variants(scale)}
    control = next(iter(label_of.values()))
    found = study_records(study, scale, root.results, seeds)
    labelled = [(label_of[record.as_run().replace(seed=0)], record) for record in found]
    return contrasts.over_images(over_images(labelled, control), control)


def _paper(root: Root, mode: str | None, device: str | None) -> Sheet:
    """The paper's table, with the runs of the study `paper` where there is one, and speeds of a mode and device."""
    from ablate.measure import frames as speed_frames
    from ablate.results import paper
    from ablate.results.formats.paper import sheet
    from ablate.results.table import frame
    from ablate.study.load import load, named

    study = load(paper.NAME) if paper.NAME in named() else None
    speeds = speed_frames.chosen(speed_frames.frame(root), mode, device)
    return sheet(paper.table(frame(root=root.path), speeds, study))


def print_table(made: Sheet | pd.DataFrame) -> None:
    """The table on a terminal, as wide as that is; wide enough for everything elsewhere."""
    from ablate.dispatch.display import open_console
    from ablate.results.formats import as_text, terminal

    if sys.stdout.isatty():
        console = open_console(sys.stdout)
        console.print(terminal(made, console.width))
    else:
        typer.echo(as_text(made), nl=False)


def summary(study: Study, scale: str, seeds: int | None, root: Root) -> pd.DataFrame:
    """A row a variant of a study, from the records under the root."""
    from ablate.results.table import frame, summarise

    runs = frame(study, scale, seeds=seeds, root=root.path)
    return summarise(runs, study.seed_count(scale, seeds), study.variants(scale))


def claims(name: Name, scale: ScaleName = None, seeds: Seeds = None, as_json: Json = False, root: Folder = None) -> int:
    """Judge a study's claims from its records.

    The exit code is for scripts: 0 where all are supported, 1 where any is contradicted, 3 where none is but some are
    undecided, 2 where the request is wrong.

    Example: ablate claims quickstart --json
    """
    from ablate.results.table import frame
    from ablate.results.verdict import judge
    from ablate.store.root import Root
    from ablate.study.load import load

    study, place = load(name), Root.at(root)
    scale = study.scale(scale)
    verdicts = judge(study, scale, frame(study, scale, seeds=seeds, root=place.path), place.results)
    if as_json:
        print_json([verdict.content() for verdict in verdicts])
    else:
        for verdict in verdicts:
            typer.echo(f"{verdict.decision:12}  {verdict.claim.sentence}\n{'':12}  {verdict.reason}")
        typer.echo(_ALONE if verdicts else f"study {study.name} claims nothing")
    decisions = {verdict.decision for verdict in verdicts}
    return 1 if "contradicted" in decisions else UNDECIDED if "undecided" in decisions else 0


_ALONE = "Each claim is judged alone, at 95 %; p values adjusted over all variants: ablate table STUDY --stats"


def export(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; .parquet or .csv says which kind.")],
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="Its runs only, with their variants; else all.")
    ] = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    mode: Mode = None,
    device: Device = None,
    root: Folder = None,
) -> None:
    """Write a row for every run: all fields, metrics, costs and provenance, as Parquet or CSV.

    Example: ablate export runs.parquet --study quickstart
    """
    from ablate.results.table import frame, write
    from ablate.spec.errors import SpecError

    if study is None and not (scale is None and seeds is None):
        raise SpecError("--scale and --seeds are of a study; wanted is --study STUDY with them")
    found = frame(study, scale, seeds=seeds, root=root, mode=mode, device=device)
    write(found, output)
    typer.echo(f"{output}: {len(found):,} runs, {found.shape[1]} columns")


def plot(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    plots: Plots = None,
    kinds: Kinds = None,
    width: Width = "",
    root: Folder = None,
) -> None:
    """Draw a study's plots into its report's folder, and print the files' names; all that have something to show.

    Example: ablate plot quickstart --plot accuracy_params --format pdf --width half
    """
    from ablate.report import folder_of
    from ablate.report.drawing import style
    from ablate.report.notebook import write_plots
    from ablate.report.plots import PLOTS
    from ablate.spec.errors import SpecError
    from ablate.store.root import Root
    from ablate.study.load import load

    study, place = load(name), Root.at(root)
    scale = study.scale(scale)
    written = write_plots(
        [PLOTS.check(plot) for plot in plots or PLOTS],
        study,
        scale,
        place.reports / folder_of(study, scale),
        seeds=seeds,
        root=place.path,
        kinds=[style.check_kind(kind) for kind in kinds or ("svg", "png")],
        width=width or style.WIDTH,
        empty=bool(plots),
    )
    if not written:
        command = "bench" if study.benchmark_only else "run"
        raise SpecError(f"{study.name} has nothing to draw: nothing is measured; see ablate {command} {study.source}")
    for path in written:
        typer.echo(path)


COMMANDS = {"table": table, "claims": claims, "export": export, "plot": plot}
