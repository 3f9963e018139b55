"""Functions for notebooks, in addition to `ablate.frame`: a study's plots, as axes or files, and its curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from ablate.dispatch.evidence import of_study
from ablate.measure import frames as speed_frames
from ablate.report.drawing import _rates, style
from ablate.report.plots import PLOTS
from ablate.results import ranking, table
from ablate.results.soundness import soundness
from ablate.spec.errors import SpecError
from ablate.spec.printable import one_line
from ablate.store.root import Root
from ablate.study.load import as_study, named
from ablate.study.study import Study

NOT_MEASURED = "not measured"


def curves(
    study: Study | str | Path, scale: str | None = None, *, seeds: int | None = None, root: str | Path | None = None
) -> pd.DataFrame:
    """Return one row per run and epoch of a study, with `variant`, `mixer` and `seed`; see `ablate.frame`."""
    study = as_study(study)
    scale = study.scale(scale)
    return table.curves(study, scale, table.study_records(study, scale, Root.at(root).results, seeds))


def data(
    kind: str,
    study: Study | str | Path,
    scale: str | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
) -> pd.DataFrame:
    """Return the frame that plots with this input draw: "runs", "curves", "speed" or "rankings"."""
    study = as_study(study)
    scale = study.scale(scale)
    if kind == "curves":
        return _marked(curves(study, scale, seeds=seeds, root=root), study, scale, seeds, root)
    if kind == "rankings":
        found = ranking.rankings(speed_frames.of_study(Root.at(root).results, study, scale))
        return ranking.tidy(found, [variant.label for variant in study.variants(scale)])
    measured = speed_frames.frame(root, study, scale)
    if kind == "speed":
        return measured
    runs = _rates.add_measured(table.frame(study, scale, seeds=seeds, root=root), measured)
    return _marked(runs, study, scale, seeds, root)


def _marked(frame: pd.DataFrame, study: Study, scale: str, seeds: int | None, root: str | Path | None) -> pd.DataFrame:
    """Return a frame in which the names of variants with edited or damaged records say so."""
    found = of_study(study, scale, Root.at(root).results, seeds)
    marks = soundness(study, scale, found, seeds).marks
    names = {label: f"{label}{mark}" for label, mark in marks.items()}
    return frame.assign(variant=frame["variant"].cat.rename_categories(names)) if marks else frame


def plot(
    study: Study | str | Path,
    name: str = "accuracy_params",
    scale: str | None = None,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
    ax: Axes | None = None,
    width: str | float = style.WIDTH,
) -> Axes:
    """Draw a plot of a study from its records; for the other arguments see `ablate.frame`.

    Args:
        name: of the plot, one of `ablate.report.plots.PLOTS`.
        ax: axes to draw on; None makes a figure, which is `figure` of the returned axes.
        width: of that figure: "half" or "full" page width, or inches.
    """
    if isinstance(study, str) and study in [*PLOTS] and study not in named():
        raise SpecError(f"the study must come before the plot; call plot(STUDY, {study!r})")
    drawn, wide = PLOTS[name], style.inches(width)
    axes: Axes = drawn.draw(data(drawn.input, study, scale, seeds=seeds, root=root), ax, width=wide)
    return axes


def write_plots(
    names: Iterable[str],
    study: Study | str | Path,
    scale: str | None,
    folder: Path,
    *,
    seeds: int | None = None,
    root: str | Path | None = None,
    kinds: Sequence[str] = ("svg", "png"),
    width: str | float = style.WIDTH,
    required: bool = True,
) -> list[Path]:
    """Write plots into a folder, as `NAME.KIND`, or `NAME-WIDTH.KIND` if the width is not the report's.

    Args:
        kinds: of files: "svg", "png", "pdf".
        width: "half" or "full" page width, or inches.
        required: refuse plots that have nothing to show; otherwise these are left out.

    Returns:
        The paths of the files.

    Raises:
        SpecError: when a required plot has nothing to show; the message says what it needs.
    """
    end = "" if style.inches(width) == style.WIDTH else f"-{width}"
    frames = {kind: data(kind, study, scale, seeds=seeds, root=root) for kind in {PLOTS[n].input for n in names}}
    paths: list[Path] = []
    with style.style():
        for name in names:
            axes = PLOTS[name].draw(frames[PLOTS[name].input], width=style.inches(width))
            if axes.has_data():
                paths += style.save(style.figure_of(axes), folder / f"{name}{end}", kinds)
            elif required:
                raise SpecError(f"plot {name} has nothing to draw: {_why(axes, PLOTS[name].input)}")
    return paths


def _why(axes: Axes, kind: str) -> str:
    """Return the sentence across axes that have nothing to show, and what would measure it."""
    why = one_line(" ".join(text.get_text() for text in axes.texts[:1])) or NOT_MEASURED
    command = "bench" if kind in ("speed", "rankings") else "run"
    return f"{why}; first: ablate {command} STUDY" if why == NOT_MEASURED else why
