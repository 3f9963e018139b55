"""A frame to a figure. One file a plot; adding a plot is adding a file.

`NAME.py` defines

- its docstring, which the report prints as the caption;
- `TITLE`, written above the axes;
- `TAKES`, the frame it draws: "runs" (`ablate.table.study_frame`) or "curves" (`ablate.table.curves`);
- `draw(data, ax=None)`, which returns the axes; without `ax` it makes a figure of its own, `axes.figure`. An empty
  frame gives axes that say "not measured".
"""

from __future__ import annotations

from pathlib import Path

from ablate.registry import Registry

PLOTS = Registry("plot", "ablate.plots", Path(__file__).parent)
