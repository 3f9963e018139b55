"""When a launch retries a failed run: at once, later if its worker was lost, or never."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ablate.dispatch import lease
from ablate.dispatch.notes import failure_of
from ablate.dispatch.status import RunStatus
from ablate.store.root import Root

BACKOFF_S = 5.0
LONGEST_S = 300.0
# Errors that every attempt repeats: a wrong request, and a loss that diverges.
PERMANENT = ("SpecError", "DivergedError")


@dataclass
class RetryPolicy:
    """The retries of one launch.

    Args:
        max_retries: how often a run is retried; never after a permanent error.
        fail_fast: end the launch when a run has failed and is not retried.
    """

    max_retries: int = 0
    fail_fast: bool = False
    lost: set[str] = field(default_factory=set)
    attempts: Counter[str] = field(default_factory=Counter)
    due: dict[str, float] = field(default_factory=dict)
    old: set[str] | None = None

    def release(self, root: Root, statuses: Sequence[RunStatus]) -> bool:
        """Remove the failure notes of runs that are due for a retry, and return whether there were any.

        Runs that had failed before the launch are not retried.
        """
        failed = {status.run.key for status in statuses if status.state == "failed"}
        if self.old is None:
            self.old = failed
        for key in failed - self.old - self.due.keys():
            if self.attempts[key] < self.max_retries and not _is_permanent(root, key):
                self.due[key] = time.monotonic() + self._pause(key)
                self.attempts[key] += 1
        ready = [key for key, at in self.due.items() if time.monotonic() >= at]
        for key in ready:
            lease.revoke(root.run_folder(key), "retry")  # a worker that died after its note must not count once more
            (root.run_folder(key) / "failure.json").unlink(missing_ok=True)
            del self.due[key]
        return bool(ready)

    def given_up(self, status: RunStatus) -> bool:
        """Whether a run has failed in this launch and is not retried."""
        return status.state == "failed" and status.run.key not in self.due and status.run.key not in (self.old or ())

    def pending(self, status: RunStatus) -> bool:
        """Whether a failed run will be retried."""
        return status.state == "failed" and status.run.key in self.due

    def _pause(self, key: str) -> float:
        """Return the seconds until the next attempt: 0 after an error of the run, else twice as long each time."""
        if key not in self.lost:
            return 0.0
        self.lost.discard(key)
        return float(min(LONGEST_S, BACKOFF_S * 2 ** self.attempts[key]))


def _is_permanent(root: Root, key: str) -> bool:
    note = failure_of(root.run_folder(key)) or {}
    return note.get("kind") in PERMANENT
