"""The output of a running session: one line per mode and batch size, and on a terminal its current step."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from ablate.dispatch.display import clock, open_console
from ablate.measure.protocol import Mode
from ablate.measure.record import DRIFT
from ablate.measure.session import Progress


class Watch:
    """Shows the progress of a session.

    Args:
        stream: for the output; a terminal also gets a status line.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = open_console(stream)
        self.spinner = self.console.status("starting") if self.console.is_terminal else None
        self.begun = time.monotonic()
        self.measured = 0

    def __enter__(self) -> Watch:
        if self.spinner:
            self.spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.spinner:
            self.spinner.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the current progress."""
        number = progress.done + (not progress.finished)
        place = f"[{number}/{progress.total}] {Mode.of(progress.mode).words}, batch {progress.batch}"
        if progress.finished and progress.rates:
            self.measured += 1
            self.console.print(f"{place}: {_rates(progress)}{self._left(progress)}", soft_wrap=True, markup=False)
        elif self.spinner and not progress.finished:
            self.spinner.update(f"{place.replace('[', chr(92) + '[', 1)}: {progress.phase} {progress.label}")

    def _left(self, progress: Progress) -> str:
        """Return the approximate remaining time, as if nothing of the rest were measured already."""
        each = (time.monotonic() - self.begun) / self.measured
        rest = progress.total - progress.done
        return f" ({clock(rest * each)} left)" if rest else ""


def _rates(progress: Progress) -> str:
    each = [f"{label} {rate if isinstance(rate, str) else f'{rate:,.0f}'}" for label, rate in progress.rates.items()]
    return f"{', '.join(each)} images/s{_drift(progress)}"


def _drift(progress: Progress) -> str:
    if not progress.drift_known:
        return "; whether the control drifted is unknown"
    drifted = progress.drift is not None and abs(progress.drift) > DRIFT
    return f"; the control drifted by {progress.drift:+.1%}" if drifted else ""
