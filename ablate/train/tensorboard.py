"""Training curves for TensorBoard, an optional dependency: `pip install tensorboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablate.spec.errors import SpecError
from ablate.train.errors import steps_of


class Board:
    """Writes curves over steps: the results of each epoch, and loss, speed and memory in between.

    Args:
        folder: folder of the run; the curves are written to its subfolder `tensorboard`.

    Raises:
        SpecError: when TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SpecError("TensorBoard is not installed; run pip install tensorboard") from None
        self.writer = SummaryWriter(str(folder / "tensorboard"))
        self.steps = 0

    def __call__(self, state: dict[str, Any]) -> None:
        """Write what `ablate.train.loop.fit` reports."""
        self.steps = state.get("steps", self.steps)
        values = {name: value for name, value in state.items() if isinstance(value, float) and name != "resumed_s"}
        for name, value in values.items():
            self.writer.add_scalar(name, value, steps_of({**state, "steps": self.steps}))
        if values:
            self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
