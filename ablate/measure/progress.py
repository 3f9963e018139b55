"""What a session says while it works: a line for each mode and batch size, and on a terminal what it is at."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from ablate.dispatch.display import clock, open_console
from ablate.measure.protocol import Mode
from ablate.measure.record import DRIFT
from ablate.measure.session import Progress


class Watch:
    """Shows what is told of a session.

    Args:
        stream: where to; a terminal gets a line that changes in place too.
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

    def __call__(self, told: Progress) -> None:
        """Show the newest."""
        place = f"[{told.done + (not told.finished)}/{told.total}] {Mode.of(told.mode).words}, batch {told.batch}"
        if told.finished and told.rates:
            self.measured += 1
            self.console.print(f"{place}: {_rates(told)}{self._left(told)}", soft_wrap=True, markup=False)
        elif self.spinner and not told.finished:
            self.spinner.update(f"{place.replace('[', chr(92) + '[', 1)}: {told.phase} {told.label}")

    def _left(self, told: Progress) -> str:
        """About how long the rest takes, if nothing of it is there already."""
        each = (time.monotonic() - self.begun) / self.measured
        rest = told.total - told.done
        return f" ({clock(rest * each)} left)" if rest else ""


def _rates(told: Progress) -> str:
    each = [f"{label} {rate if isinstance(rate, str) else f'{rate:,.0f}'}" for label, rate in told.rates.items()]
    return f"{', '.join(each)} images/s{_drift(told)}"


def _drift(told: Progress) -> str:
    if not told.drift_known:
        return "; whether the control drifted is unknown"
    drifted = told.drift is not None and abs(told.drift) > DRIFT
    return f"; the control drifted by {told.drift:+.1%}" if drifted else ""
