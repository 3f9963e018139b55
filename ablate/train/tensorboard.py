"""Curves for TensorBoard, where that is asked for; an extra, `pip install ablate[tensorboard]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.train.errors import steps_of


class Board:
    """Writes what a run reports: an epoch's results, and between them the loss, speed and memory; by the step.

    Args:
        folder: of the run; the curves lie in its `tensorboard/`.

    Raises:
        SpecError: where TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SpecError(
                "tensorboard is asked for and not installed; install it with pip install 'ablate[tensorboard]'"
            ) from None
        self.writer = SummaryWriter(str(folder / "tensorboard"))
        self.steps = 0

    def __call__(self, state: dict[str, Any]) -> None:
        """Take what `ablate.train.loop.fit` reports."""
        self.steps = state.get("steps", self.steps)
        values = {name: value for name, value in state.items() if isinstance(value, float) and name != "resumed_s"}
        for name, value in values.items():
            self.writer.add_scalar(name, value, steps_of({**state, "steps": self.steps}))
        if values:
            self.writer.flush()

    def close(self) -> None:
        """Let the file go."""
        self.writer.close()
