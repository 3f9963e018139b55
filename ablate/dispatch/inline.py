"""This process as the worker of a launch: alone, one run after the other, or as the main one of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ablate.dispatch import lease
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.local_pool import Others
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.dispatch.worker import work
from ablate.store.root import Root


class Inline:
    """A pool whose only worker is this process; it trains in `fill`.

    Args:
        name: of the launch.
        size: number of slots of this machine.
    """

    def __init__(self, root: Root, name: str, size: int) -> None:
        self.root, self.worker, self.size = root, worker_of(name), size
        self.others = Others(lambda: lease.working_here(root.runs), name)

    def poll(self) -> None:
        """Do nothing: there is no other process."""

    def deaths(self, _: Sequence[RunStatus]) -> dict[str, str]:
        """Return nothing: the launch ends with this process."""
        return {}

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Train the first run that no worker holds, and return whether there was one."""
        if self.others.fill(self.size):
            return False
        return any(self._train(status.run.key) for status in statuses if status.state != "running")

    def _train(self, key: str) -> bool:
        """Train a run, and return whether it ended; a cancelled run has ended, too.

        Raises:
            KeyboardInterrupt: when this process was stopped, not only its run.
        """
        try:
            return bool(work(str(self.root.path), [key], self.worker))
        except KeyboardInterrupt:
            if (self.root.run_folder(key) / "run.json").exists():
                raise
            return True

    def stop(self) -> None:
        """Do nothing: no run is in progress between two calls of `fill`."""

    def finish(self) -> None:
        """Do nothing: the last run has ended."""

    def abandon(self) -> None:
        """Do nothing: the interrupted run has released its lease."""


def together(
    root: Root, monitor: StatusMonitor, ledger: Ledger, show: Callable[[list[RunStatus]], None]
) -> list[RunStatus]:
    """Train the runs of a launch as the main one of the processes that torchrun or srun started.

    A single call of `work` sends the other processes each run, so every run is tried once.

    Returns:
        The final state of all runs.
    """
    show(monitor.poll())
    try:
        work(str(root.path), ledger.launch.keys, worker_of(ledger.launch.name))
    finally:
        ledger.leave()
    statuses = monitor.poll()
    show(statuses)
    return statuses


def worker_of(name: str) -> str:
    """Return the name of the only worker of a launch."""
    return f"{name}-0"
