"""The key of numbered names, written below the axes in as many columns as fit."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from ablate.report.drawing import notes
from ablate.report.drawing.style import LETTER, TEXT_LINE, grow, width_of

GAP = 10.0  # points between columns


def write(ax: Axes, names: Sequence[str]) -> None:
    """Write "1 first name", "2 second name", … below the axes, down each column in turn."""
    total = width_of(ax)
    letters = max(12, int(total / LETTER))
    entries = [_entry(number, name, letters) for number, name in enumerate(names, 1)]
    wide = LETTER * max(len(line) for entry in entries for line in entry.split("\n")) + GAP
    columns = max(1, int(total / wide))
    length = math.ceil(len(entries) / columns)
    parts = ["\n".join(entries[at : at + length]) for at in range(0, len(entries), length)]
    for at, part in enumerate(parts):
        notes.note(ax, part, at * wide)
    grow(ax, 4 + TEXT_LINE * max(part.count("\n") + 1 for part in parts))


def _entry(number: int, name: str, letters: int) -> str:
    return textwrap.fill(f"{number} {name}", letters, subsequent_indent="   ")
