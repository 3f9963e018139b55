"""Commands about results: the table, the claims, the runs as a file, the plots."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from ablate.cli._options import Folder, Json, Name, ScaleName, Seeds, print_json
from ablate.cli._soundness import NOT_WHOLE, soundness_of, warn, warn_all
from ablate.dispatch.all_studies import command
from ablate.dispatch.display import open_console
from ablate.measure import frames as speeds
from ablate.results import paper, tables
from ablate.results.formats import Sheet, as_text, comparison, render, terminal
from ablate.results.formats import contrasts as contrast_sheets
from ablate.results.formats.paper import sheet as paper_sheet
from ablate.results.soundness import Soundness, marked, of_all
from ablate.results.table import frame, write
from ablate.results.verdict import SPEED, Verdict, judge
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.store.rows import read
from ablate.study.checks import check_seeds
from ablate.study.load import load, named
from ablate.study.study import Study

SEPARATE = (
    "Each claim is judged separately, at 95 %. For p values adjusted over all variants: ablate table STUDY --stats"
)
UNDECIDED = 3  # the exit code where no claim is contradicted and some are undecided


def _plot_names(incomplete: str) -> list[str]:
    """Return the plots that complete a name, for the shell."""
    from ablate.report.plots import PLOTS

    return [name for name in PLOTS if name.startswith(incomplete)]


Mode = Annotated[
    str | None,
    typer.Option("--mode", help="Add the speed measured in this mode, such as bf16-compile-nchw-inference."),
]
Device = Annotated[str | None, typer.Option("--device", help="Device of that speed, where it was measured on several.")]
Format = Annotated[str, typer.Option("--format", help="text, md, tex, csv, html or json.")]
Plots = Annotated[
    list[str] | None,
    typer.Option("--plot", help="Name of a plot; may be given several times.", autocompletion=_plot_names),
]
Kinds = Annotated[list[str] | None, typer.Option("--format", help="svg, png or pdf; may be given several times.")]
Width = Annotated[
    str, typer.Option(help="Width of the figures: half or full (page width), or inches; by default as in the report.")
]


def table(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    stats: Annotated[bool, typer.Option("--stats", help="Show differences to the control, over seeds.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Show differences to the control, per image.")] = False,
    mode: Mode = None,
    device: Device = None,
    style: Format = "text",
    as_json: Json = False,
    root: Folder = None,
) -> int:
    """Print the results table of a study, or its statistics.

    The study `paper` prints the table of the paper. Variants with an edited or damaged record are marked, the records
    are named below the table, and the exit code is 2.

    Examples:
        ablate table quickstart --format md
    """
    if seeds is not None:
        check_seeds(seeds)
    if stats and images:
        raise SpecError("--stats and --images cannot be combined; choose one")
    kind = "stats" if stats else "images" if images else ""
    if kind and (mode or device):
        raise SpecError(f"--{kind} cannot be combined with --mode or --device; leave them out")
    sheet, found = _table(name, scale, seeds, Root.at(root), kind, (mode, device))
    sheet, style = marked(sheet, found), "json" if as_json else style
    if style == "text":
        print_table(sheet, found)
    elif style in ("csv", "json"):
        typer.echo(render(sheet, style), nl=False)
        warn(found)
    else:
        typer.echo(render(replace(sheet, notes=[*sheet.notes, *found.sentences]), style), nl=False)
    return 0 if found.whole else NOT_WHOLE


def _table(
    name: str, scale: str | None, seeds: int | None, root: Root, kind: str, where: tuple[str | None, str | None]
) -> tuple[Sheet, Soundness]:
    """Return the requested table; the study `paper`, without one of its own scales, gives the paper's table."""
    if name == paper.NAME and scale in (None, paper.SCALE) and not kind:
        return _paper(root, *where)
    study = load(name)
    scale = study.scale(scale)
    found = soundness_of(study, scale, root, seeds, speeds=where[0] is not None)
    if kind:
        control = study.variants(scale)[0].label
        if kind == "stats":
            return contrast_sheets.over_seeds(tables.over_seeds(study, scale, seeds, root), control), found
        return contrast_sheets.over_images(tables.over_images(study, scale, seeds, root), control), found
    return _comparison(study, scale, seeds, root, *where), found


def _comparison(study: Study, scale: str, seeds: int | None, root: Root, mode: str | None, device: str | None) -> Sheet:
    """Return the variants, with their speed in a mode and on a device if requested."""
    if device is not None and mode is None:
        raise SpecError(f"--device {device!r} needs a mode that was measured on it; add --mode")
    rows = tables.summary(study, scale, seeds, root)
    return comparison(rows if mode is None else speeds.join(rows, speeds.frame(root, study, scale), mode, device))


def _paper(root: Root, mode: str | None, device: str | None) -> tuple[Sheet, Soundness]:
    """Return the paper's table, with the runs of the study `paper` if there is one, and speeds."""
    study = load(paper.NAME) if paper.NAME in named() else None
    chosen = speeds.chosen(speeds.frame(root), mode, device)
    sheet = paper_sheet(paper.table(frame(root=root.path), chosen, study))
    own = study is not None and paper.SCALE in study.scales
    found = (
        soundness_of(study, paper.SCALE, root) if study and own else Soundness(remarks=[*of_all(read(root.results))])
    )
    return sheet, found


def print_table(sheet: Sheet | pd.DataFrame, found: Soundness) -> None:
    """Print a table, limited to the width of a terminal, and below it what is wrong with its records."""
    if sys.stdout.isatty():
        console = open_console(sys.stdout)
        console.print(terminal(sheet, console.width))
    else:
        typer.echo(as_text(sheet), nl=False)
    for sentence in found.sentences:
        typer.echo(sentence)


def claims(name: Name, scale: ScaleName = None, seeds: Seeds = None, as_json: Json = False, root: Folder = None) -> int:
    """Judge the claims of a study from its records.

    Exit code: 0 if all claims are supported, 1 if one is contradicted, 3 if none is contradicted but some are
    undecided, 2 if the request is wrong, or a record of the study was edited or damaged: its claims are marked. In
    JSON, mean, low and high are those of the expression, next to the threshold.

    Examples:
        ablate claims quickstart
        ablate claims quickstart --json
    """
    study, folder = load(name), Root.at(root)
    scale = study.scale(scale)
    verdicts = judge(study, scale, seeds=seeds, root=folder.path)
    quantities = [one.column for verdict in verdicts for one in verdict.claim.quantities()]
    found = soundness_of(study, scale, folder, seeds, speeds=not set(SPEED).isdisjoint(quantities))
    damage = [found.of([study.variant(one, scale).label for one in verdict.claim.quantities()]) for verdict in verdicts]
    if as_json:
        contents = zip(verdicts, damage, strict=True)
        print_json([verdict.content() | ({"damage": told} if told else {}) for verdict, told in contents])
    else:
        for verdict, told in zip(verdicts, damage, strict=True):
            mark = f"\n{'':12}  [from {len(told)} edited or damaged record{'s' * (len(told) > 1)}, named below]"
            typer.echo(
                f"{verdict.decision:12}  {verdict.claim.sentence}\n{'':12}  {verdict.reason}{mark if told else ''}"
            )
        typer.echo(SEPARATE if verdicts else f"study {study.name} has no claims")
    if code := warn(found):
        return code
    decisions = {verdict.decision for verdict in verdicts}
    return 1 if "contradicted" in decisions else UNDECIDED if "undecided" in decisions else 0


def _print_verdict(verdict: Verdict, damaged: int) -> None:
    """Print a verdict, with the number of edited or damaged records of its variants."""
    typer.echo(f"{verdict.decision:12}  {verdict.claim.sentence}\n{'':12}  {verdict.reason}")
    if damaged:
        typer.echo(f"{'':12}  not to be trusted: {damaged} edited or damaged record{'s' * (damaged > 1)}, named below")


def export(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Path ending in .parquet or .csv.")],
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="Only the runs of this study, with their variants.")
    ] = None,
    scale: ScaleName = None,
    seeds: Seeds = None,
    mode: Mode = None,
    device: Device = None,
    root: Folder = None,
) -> int:
    """Write all runs to a Parquet or CSV file, one row per run.

    The columns are all fields, metrics, costs and the provenance; `damage` names an edited record.

    Examples:
        ablate export runs.parquet --study quickstart
    """
    if study is None and not (scale is None and seeds is None):
        raise SpecError("--scale and --seeds need a study; add --study STUDY")
    found = frame(study, scale, seeds=seeds, root=root, mode=mode, device=device)
    write(found, output)
    typer.echo(f"{output}: {len(found):,} runs, {found.shape[1]} columns")
    folder = Root.at(root)
    if study is not None:
        chosen = load(study)
        return warn(soundness_of(chosen, chosen.scale(scale), folder, seeds))
    return warn_all(folder)


def plot(
    name: Name,
    scale: ScaleName = None,
    seeds: Seeds = None,
    plots: Plots = None,
    kinds: Kinds = None,
    width: Width = "",
    root: Folder = None,
) -> int:
    """Draw the plots of a study.

    The files go to the folder of the study's report; their paths are printed. By default all plots with data are drawn.
    Variants with an edited or damaged record are marked in them, and the exit code is 2.

    Examples:
        ablate plot quickstart
        ablate plot quickstart --plot accuracy_params --format pdf --width half
    """
    from ablate.report import folder_of
    from ablate.report.drawing import style
    from ablate.report.notebook import write_plots
    from ablate.report.plots import PLOTS

    study, folder = load(name), Root.at(root)
    scale = study.scale(scale)
    written = write_plots(
        [PLOTS.check(plot) for plot in plots or PLOTS],
        study,
        scale,
        folder.reports / folder_of(study, scale),
        seeds=seeds,
        root=folder.path,
        kinds=[style.check_kind(kind) for kind in kinds or ("svg", "png")],
        width=width or style.WIDTH,
        required=bool(plots),
    )
    if not written:
        first = command("bench" if study.benchmark_only else "run", study, scale)
        raise SpecError(f"{study.name} has no results to draw; first: {first}")
    for path in written:
        typer.echo(path)
    return warn(soundness_of(study, scale, folder, seeds, speeds=True))
