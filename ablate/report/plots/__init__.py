"""A frame to a figure. One file a plot; adding a plot is adding a file.

`NAME.py` defines

- its docstring, which the report prints as the caption;
- `TITLE`, written above the axes;
- `INPUT`, the frame it draws: "runs", "curves", "speed" or "rankings", see below;
- `draw(data, ax=None, *, width=WIDTH)`, which returns the axes; without `ax` it makes a figure of its own, that many
  inches wide, `axes.figure`. Where the frame holds nothing to draw, the axes say why, and `axes.has_data()` is false.

The frames:

- "runs", a row a run: `ablate.frame` with a study; with a `mode` too, throughput is what was measured in it;
- "curves", a row a run and epoch: `ablate.curves`;
- "speed", a row a measurement of speed: one variant on one device, in one mode, at one batch size. Columns: `variant`
  (in the study's order, the control first); `mixer`; `device`; `mode`, in words, all that may change a speed but device
  and batch, such as "inference, bfloat16, compiled"; `batch`; `images_per_s` with `images_per_s_low` and
  `images_per_s_high`, the median and an interval around it, NaN where memory ran out; `memory_mib`, the peak; `macs`
  and `tokens` of an image; and fields of `Run`, of which the plots read `patch_size`, `image_size`, `depth` and `dim`;
- "rankings", a row per pair of variants and mode: `ablate.results.ranking.tidy`, with `one`, `other`, `verdict`.
"""

from __future__ import annotations

from pathlib import Path

from ablate.spec.registry import Registry

PLOTS = Registry("plot", "ablate.report.plots", Path(__file__).parent)
