"""When to look at the loss, to write a checkpoint, or to stop: by the clock and by signals, agreed among processes.

SIGUSR1 asks for a checkpoint. SIGTERM and SIGINT ask for a checkpoint and the end; the second of them ends at once.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

from ablate.train.distributed import ALONE, World

LOOK_S = 1.0
AGREE_STEPS = 10  # several processes agree at every such step: between them none waits for another's word
STOPS = (signal.SIGTERM, signal.SIGINT)
LOG = logging.getLogger("ablate")


class Due(NamedTuple):
    """What is to be done after a step."""

    look: bool
    save: bool
    stop: bool


NOTHING = Due(False, False, False)


class Watch:
    """Says after each step what is due; as a context it listens to signals, and gives them back at the end.

    Args:
        minutes: between two checkpoints.
        world: the processes that must decide alike.
    """

    def __init__(self, minutes: float, world: World = ALONE) -> None:
        self.world, self.save_s = world, 60 * minutes
        self.looked = self.saved = time.monotonic()
        self.asked_to_save = self.asked_to_stop = False
        self.before: dict[int, Any] = {}

    def due(self, step: int) -> Due:
        """What is due after a step, numbered from the run's start; the same on all processes."""
        if self.world.size > 1 and step % AGREE_STEPS:
            return NOTHING
        now = time.monotonic()
        by_clock = self.world.main  # clocks differ; one decides
        look = by_clock and now - self.looked >= LOOK_S
        save = by_clock and now - self.saved >= self.save_s
        save = save or self.asked_to_save or self.asked_to_stop
        due = Due(*map(bool, self.world.most([look, save, self.asked_to_stop])))
        if due.look or due.save:
            self.looked = now
        if due.save:
            self.saved, self.asked_to_save = now, False
        return due

    def __enter__(self) -> Watch:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are for the main thread, and so for its watch
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
        self.asked_to_save = True

    def _stop(self, number: int, _: Any) -> None:
        if self.asked_to_stop:
            raise KeyboardInterrupt
        self.asked_to_stop = True
        LOG.warning("asked to stop by %s: writing a checkpoint first", signal.Signals(number).name)
