"""When to check the loss, write a checkpoint or stop: by time and by signals, agreed between processes.

SIGUSR1 requests a checkpoint. SIGTERM and SIGINT request a checkpoint and a stop; a second one stops immediately.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

from ablate.train.distributed import ALONE, World

CHECK_S = 1.0
AGREE_STEPS = 10  # several processes agree only at every such step, since agreeing makes them wait for each other
STOPS = (signal.SIGTERM, signal.SIGINT)
LOG = logging.getLogger("ablate")


class Due(NamedTuple):
    """What to do after a step."""

    check: bool
    save: bool
    stop: bool


NOTHING = Due(False, False, False)


class Watch:
    """Decides after each step what is due. As a context manager, it handles signals and restores the old handlers.

    Args:
        minutes: minutes between two checkpoints.
        world: the processes that must agree.
    """

    def __init__(self, minutes: float, world: World = ALONE) -> None:
        self.world, self.save_s = world, 60 * minutes
        self.checked = self.saved = time.monotonic()
        self.save_requested = self.stop_requested = False
        self.before: dict[int, Any] = {}

    def due(self, step: int) -> Due:
        """Return what is due after a step, counted from the start of the run; the same on all processes."""
        if self.world.size > 1 and step % AGREE_STEPS:
            return NOTHING
        now = time.monotonic()
        by_clock = self.world.main  # clocks differ; one decides
        check = by_clock and now - self.checked >= CHECK_S
        save = by_clock and now - self.saved >= self.save_s
        save = save or self.save_requested or self.stop_requested
        due = Due(*map(bool, self.world.maximum([check, save, self.stop_requested])))
        if due.check or due.save:
            self.checked = now
        if due.save:
            self.saved, self.save_requested = now, False
        return due

    def __enter__(self) -> Watch:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread can handle signals
        for number in STOPS:
            self.before[number] = signal.signal(number, self._stop)
        self.before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._save)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _save(self, *_: Any) -> None:
        self.save_requested = True

    def _stop(self, number: int, _: Any) -> None:
        if self.stop_requested:
            raise KeyboardInterrupt
        self.stop_requested = True
        LOG.warning("received %s: writing a checkpoint before stopping", signal.Signals(number).name)
