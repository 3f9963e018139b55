"""What `ablate plan` says of the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablate.dispatch.disk import Disk
    from ablate.spec.run import Run


def disk_of(runs: Sequence[Run], data: Mapping[str, str], side_by_side: int) -> Disk:
    """The disk that runs to train will take."""
    from ablate.dispatch.disk import needed
    from ablate.study.compare import classes_of

    return needed(runs, side_by_side, {name: classes_of(name, data) for name in {run.dataset for run in runs}})


def disk_in_words(disk: Disk) -> str:
    """The disk that runs take, in a line."""
    from ablate.results.formats.units import size

    kept = f", {size(disk.pictures)} of decoded pictures" if disk.pictures else ""
    runs = "1 run trains" if disk.side_by_side == 1 else f"{disk.side_by_side} runs train"
    return (
        f"disk: {size(disk.weights)} of weights at the end, "
        f"{size(disk.checkpoints)} of checkpoints at most while {runs}{kept}"
    )
