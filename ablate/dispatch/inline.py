"""This process as the only worker of a launch, one run after the other; or as the first of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ablate.dispatch.ledger import Ledger
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.dispatch.worker import work
from ablate.store.root import Root


class Inline:
    """A pool of one, which works when it is asked to start workers.

    Args:
        name: of the launch.
    """

    def __init__(self, root: Root, name: str) -> None:
        self.root, self.worker = root, worker_of(name)

    def poll(self) -> None:
        """There is no worker to look at."""

    def deaths(self, _: Sequence[RunStatus]) -> dict[str, str]:
        """Who dies here takes the launch along."""
        return {}

    def fill(self, statuses: Sequence[RunStatus]) -> bool:
        """Train the first run that nobody holds; whether there was one."""
        return any(self._train(status.run.key) for status in statuses if status.state != "running")

    def _train(self, key: str) -> bool:
        """Train a run; whether it came to an end, if only because it was called off.

        Raises:
            KeyboardInterrupt: when somebody stopped this process, and not its run alone.
        """
        try:
            return bool(work(str(self.root.path), [key], self.worker))
        except KeyboardInterrupt:
            if (self.root.run_folder(key) / "run.json").exists():
                raise
            return True

    def stop(self) -> None:
        """Between two runs nobody works."""

    def finish(self) -> None:
        """Nothing is left to train."""

    def abandon(self) -> None:
        """Whoever is interrupted here has let go of its run."""


def together(
    root: Root, monitor: StatusMonitor, ledger: Ledger, show: Callable[[list[RunStatus]], None]
) -> list[RunStatus]:
    """Train a launch's runs in the processes that torchrun or srun started, as the first of them.

    The others are told by a single `work` what to train, so each run is tried once. Returns what became of all runs.
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
    """What the worker of a launch without other processes is called."""
    return f"{name}-0"
