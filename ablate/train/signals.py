"""When to check the loss, write a checkpoint or stop: by time and by signals, agreed between processes.

SIGUSR1 requests a checkpoint. SIGTERM, SIGINT and SIGHUP (the terminal was closed) request a checkpoint and a stop; a
second one stops immediately. Signals are noted and acted on after a step or between runs, since an exception in the
middle of an import leaves half a module. Outside training, a stop that was not acted on in time becomes an exception.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

from ablate.train.distributed import ALONE, World

CHECK_S = 1.0
AGREE_STEPS = 10  # several processes agree only at every such step, since agreeing makes them wait for each other
GRACE_S = 20.0  # for what is done outside training, such as an import
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOG = logging.getLogger("ablate")


@dataclass
class _Noted:
    """The signals that this process has received and not acted on."""

    stop: int = 0
    save: bool = False
    depth: int = 0
    training: int = 0


NOTED = _Noted()


@contextmanager
def noted() -> Iterator[None]:
    """Note signals within the block, and restore the old handlers. SIGHUP stays ignored where it is, as under nohup."""
    if threading.current_thread() is not threading.main_thread() or NOTED.depth:
        yield
        return
    handlers = dict.fromkeys(STOPS, _stop) | {signal.SIGUSR1: _save}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        del handlers[signal.SIGHUP]
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    NOTED.depth, NOTED.stop, NOTED.save = 1, 0, False
    try:
        yield
    finally:
        NOTED.depth = NOTED.stop = 0
        for number, handler in before.items():
            signal.signal(number, handler)


def act() -> None:
    """Raise KeyboardInterrupt if a stop was requested."""
    if NOTED.stop:
        raise KeyboardInterrupt


def _save(_: int, __: object) -> None:
    NOTED.save = True


def _stop(number: int, _: object) -> None:
    if NOTED.stop:
        raise KeyboardInterrupt
    NOTED.stop = number
    if NOTED.training:
        LOG.warning("received %s: writing a checkpoint before stopping", signal.Signals(number).name)
        return
    timer = threading.Timer(GRACE_S, _insist)
    timer.daemon = True
    timer.start()


def _insist() -> None:
    """Send a stop again that was not acted on."""
    if NOTED.stop and not NOTED.training:
        os.kill(os.getpid(), NOTED.stop)


class Due(NamedTuple):
    """What to do after a step."""

    check: bool
    save: bool
    stop: bool


NOTHING = Due(False, False, False)


class Watch:
    """Decides after each step what is due. As a context manager, it notes signals.

    Args:
        minutes: minutes between two checkpoints.
        world: the processes that must agree.
    """

    def __init__(self, minutes: float, world: World = ALONE) -> None:
        self.world, self.save_s = world, 60 * minutes
        self.checked = self.saved = time.monotonic()
        self.listens = False
        self._stack = ExitStack()

    @property
    def stop_requested(self) -> bool:
        """Whether a signal requested a stop."""
        return self.listens and bool(NOTED.stop)

    def due(self, step: int) -> Due:
        """Return what is due after a step, counted from the start of the run; the same on all processes."""
        if self.world.size > 1 and step % AGREE_STEPS:
            return NOTHING
        now = time.monotonic()
        by_clock = self.world.main  # clocks differ; one decides
        check = by_clock and now - self.checked >= CHECK_S
        save = by_clock and now - self.saved >= self.save_s
        save = save or (self.listens and NOTED.save) or self.stop_requested
        due = Due(*map(bool, self.world.maximum([check, save, self.stop_requested])))
        if due.check or due.save:
            self.checked = now
        if due.save:
            self.saved = now
            NOTED.save = NOTED.save and not self.listens
        return due

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            self._stack.enter_context(noted())
            self.listens = True
            NOTED.training += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        NOTED.training -= self.listens
        self.listens = False
        self._stack.close()
