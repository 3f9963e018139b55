"""Plots by name: the rows of `_catalogue.py`, the files of this folder, and those that `use(file, "plot")` registered.

To add a plot to every report, add a file here.

`NAME.py` defines

- its docstring, which the report prints as the caption;
- `TITLE`, which is written above the axes;
- `INPUT`, the frame it draws: "runs", "curves", "speed" or "rankings", see below;
- `draw(data, ax=None, *, width=WIDTH)`, which returns the axes. Without `ax` it makes a figure of this width in inches,
  `axes.figure`. If the frame holds nothing to draw, the axes give the reason, and `axes.has_data()` is false.

The frames:

- "runs", one row per run: `ablate.frame` with a study; with a `mode` as well, throughput is the one measured in it;
- "curves", one row per run and epoch: `ablate.curves`;
- "speed", one row per speed measurement: one variant on one device, in one mode, at one batch size. Columns: `variant`
  (in the study's order, the control first); `mixer`; `device`; `mode`, in words, everything that may change a speed
  except device and batch, such as "inference, bfloat16, compiled"; `batch`; `images_per_s` with `images_per_s_low` and
  `images_per_s_high`, the median and an interval around it, NaN if memory ran out; `memory_mib`, the peak; `macs` and
  `tokens` of an image; and fields of `Run`, of which the plots read `patch_size`, `image_size`, `depth` and `dim`;
- "rankings", one row per pair of variants and mode: `ablate.results.ranking.tidy`, with `one`, `other`, `verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.report.plots._catalogue import CATALOGUE, INPUTS, Entry
from ablate.spec.errors import SpecError, unknown
from ablate.spec.parts import PLOT_FILES
from ablate.spec.printable import shown
from ablate.spec.registry import Registry
from ablate.spec.usercode import called

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FRAMES = ("runs", "curves", "speed", "rankings")


@dataclass(frozen=True)
class Plot:
    """One plot.

    Args:
        title: written above the axes.
        input: the frame it draws.
        caption: on one line.
        drawn_by: `draw` of its file, or of its entry's kind.
        path: its file, if it has one of its own.
    """

    title: str
    input: str
    caption: str
    drawn_by: Callable[..., Axes]
    path: Path | None = None

    def draw(self, data: pd.DataFrame, ax: Axes | None = None, *, width: float | None = None) -> Axes:
        """Draw a frame; return the axes.

        Args:
            data: the frame of `input`.
            ax: axes to draw on; None makes a figure.
            width: of that figure, in inches; None is the width in a report.
        """
        from ablate.report.drawing.style import WIDTH  # here, since matplotlib imports slowly

        width = WIDTH if width is None else width
        return self.drawn_by(data, ax, width=width) if self.path is None else _drawn(self, self.path, data, ax, width)


class Plots(Mapping[str, Plot]):
    """The plots of the catalogue and of a folder, by name.

    Raises:
        SpecError: if a file has the name of a catalogue entry.
    """

    def __init__(self, catalogue: Mapping[str, Entry], files: Registry) -> None:
        self._catalogue, self._files = catalogue, files
        self._check_names()

    def _check_names(self) -> None:
        if both := sorted(set(self._catalogue) & set(self._files)):
            file = self._files.path(both[0])
            raise SpecError(f"plot {both[0]!r} is defined twice: in the catalogue and in {file}; rename the file")

    def __iter__(self) -> Iterator[str]:
        self._check_names()  # a file may be registered at any time
        return iter(sorted([*self._catalogue, *self._files]))

    def __len__(self) -> int:
        return len(self._catalogue) + len(self._files)

    def __getitem__(self, name: str) -> Plot:
        entry = self._catalogue.get(self.check(name))
        return _of_file(name, self._files) if entry is None else _of_entry(entry)

    def check(self, name: str) -> str:
        """Return the name if it is known; raise a `SpecError` otherwise."""
        self._check_names()
        if name not in self._catalogue and name not in self._files:
            raise unknown("plot", name, self)
        return name


def _drawn(plot: Plot, path: Path, data: pd.DataFrame, ax: Axes | None, width: float) -> Axes:
    """Return the axes that the file of a plot draws.

    Raises:
        SpecError: when it raises an error, which names the line, or returns anything else.
    """
    from matplotlib.axes import Axes

    found = called(path, lambda: plot.drawn_by(data, ax, width=width))
    if not isinstance(found, Axes):
        raise SpecError(f"draw in {path} must return the axes, got {shown(found)}")
    return found


def _of_file(name: str, files: Registry) -> Plot:
    module, path = files[name], files.path(name)
    for needed in ("TITLE", "INPUT", "draw"):
        if not hasattr(module, needed):
            raise SpecError(f"{path} must define {needed}; the file of a plot defines TITLE, INPUT, draw")
    if module.INPUT not in FRAMES:
        raise SpecError(f"INPUT in {path} must be one of {', '.join(FRAMES)}, got {shown(module.INPUT)}")
    return Plot(module.TITLE, module.INPUT, " ".join((module.__doc__ or "").split()), module.draw, path)


def _of_entry(entry: Entry) -> Plot:
    from ablate.report.plots import _kinds  # here, since matplotlib imports slowly

    return Plot(entry.title, INPUTS[entry.kind], entry.caption, partial(_kinds.draw, entry))


def in_reports(names: Iterable[str]) -> list[str]:
    """Return the plots that every report has: not those in the user's own files, which depend on what was imported."""
    return [name for name in sorted(names) if name not in PLOT_FILES or PLOT_FILES.file(name) is None]


PLOTS = Plots(CATALOGUE, PLOT_FILES)
