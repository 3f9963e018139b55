"""What a launch does about runs that fail: try them again, after a while where a worker was lost, or give up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ablate.dispatch.notes import failure_of
from ablate.dispatch.status import RunStatus
from ablate.store.root import Root

BACKOFF_S = 5.0
LONGEST_S = 300.0
# What is the same at every try: the request is wrong, or the numbers are.
HOPELESS = ("SpecError", "DivergedError")


@dataclass
class RetryPolicy:
    """Retries of one launch.

    Args:
        max_retries: how often a run is tried again; not for a wrong request, nor for a loss that diverged.
        fail_fast: end the launch when a run has failed for good.
    """

    max_retries: int = 0
    fail_fast: bool = False
    lost: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    due: dict[str, float] = field(default_factory=dict)
    old: set[str] | None = None

    def release(self, root: Root, statuses: Sequence[RunStatus]) -> bool:
        """Let runs that failed in this launch be tried again when their time has come; whether any now is.

        What had failed before the launch stays failed, and is none of its business.
        """
        failed = {status.run.key for status in statuses if status.state == "failed"}
        if self.old is None:
            self.old = failed
        for key in failed - self.old - self.due.keys():
            if self.tries[key] < self.max_retries and not _hopeless(root, key):
                self.due[key] = time.monotonic() + self._pause(key)
                self.tries[key] += 1
        now = [key for key, at in self.due.items() if time.monotonic() >= at]
        for key in now:
            (root.run_folder(key) / "failure.json").unlink(missing_ok=True)
            del self.due[key]
        return bool(now)

    def given_up(self, status: RunStatus) -> bool:
        """Whether a run has failed for good in this launch."""
        return status.state == "failed" and status.run.key not in self.due and status.run.key not in (self.old or ())

    def pending(self, status: RunStatus) -> bool:
        """Whether a failed run waits for its next try."""
        return status.state == "failed" and status.run.key in self.due

    def _pause(self, key: str) -> float:
        """Seconds until the next try: longer each time after a lost worker or node, none after an error of the run."""
        if key not in self.lost:
            return 0.0
        self.lost.discard(key)
        return float(min(LONGEST_S, BACKOFF_S * 2 ** self.tries[key]))


def _hopeless(root: Root, key: str) -> bool:
    note = failure_of(root.run_folder(key)) or {}
    return note.get("kind") in HOPELESS
