"""The plan of one launch: which runs of a study are missing, and the workers that will train them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ablate.dispatch import lease
from ablate.dispatch.inline import Inline, together
from ablate.dispatch.launch import Show, WorkerPool, launch
from ablate.dispatch.ledger import Ledger
from ablate.dispatch.local_pool import LocalPool
from ablate.dispatch.retries import RetryPolicy
from ablate.dispatch.slots import Local, slots
from ablate.dispatch.slurm_pool import SlurmPool
from ablate.dispatch.status import RunStatus, StatusMonitor
from ablate.dispatch.worker import work
from ablate.spec.errors import SpecError
from ablate.spec.resources import Resources
from ablate.spec.run import Run
from ablate.store.root import Root
from ablate.study.study import Study
from ablate.train.distributed import alone

MOST_JOBS = 10_000  # more is a mistake


class Place(StrEnum):
    """Where runs are trained."""

    local = "local"
    slurm = "slurm"
    inline = "inline"


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """The missing runs of a study, and the workers that will train them.

    Args:
        monitor: the state of all runs of the study.
        missing: the runs without a record, all of them requested.
        resources: of each run.
        jobs: the limit on runs (on Slurm: jobs) side by side that was requested.
        size: how many runs train side by side.
        policy: what to do about failed runs.
    """

    study: Study
    scale: str
    root: Root
    monitor: StatusMonitor
    missing: list[Run]
    resources: Resources
    place: Place
    jobs: int | None
    size: int
    policy: RetryPolicy

    def execute(self, show: Show) -> list[RunStatus]:
        """Train the missing runs, and return the final state of all runs.

        Args:
            show: called with the state of all runs, about twice a second.

        Raises:
            KeyboardInterrupt: after the workers were stopped; Slurm jobs continue.
        """
        several = self.place is Place.inline and not alone()
        if not self.missing:
            if several:
                work(str(self.root.path), [], "")  # ends the other processes
            return self.monitor.poll()
        ledger = self.ledger([run.key for run in self.missing])
        if several:
            return together(self.root, self.monitor, ledger, show)
        return launch(self.root, self.monitor, self.pool(ledger), ledger, show, self.policy)

    def ledger(self, keys: list[str]) -> Ledger:
        """Start the ledger of this launch."""
        return Ledger(self.root, str(self.place), keys)

    def pool(self, ledger: Ledger) -> WorkerPool:
        """Return the workers of this launch; none is started yet."""
        name = ledger.launch.name
        if self.place is Place.slurm:
            return self.slurm_pool(ledger)
        if self.place is Place.inline:
            return Inline(self.root, name, self.size)
        backend = Local(self.root, self.resources, ledger.launch.logs)
        return LocalPool(backend, name, self.size, lambda: lease.working_here(self.root.runs))

    def slurm_pool(self, ledger: Ledger) -> SlurmPool:
        """Return the jobs of this launch; none is submitted yet."""
        return SlurmPool(self.root, self.resources, ledger, self.jobs)


def side_by_side(place: Place, resources: Resources, jobs: int | None, most: int) -> int:
    """Return how many runs train side by side.

    Args:
        jobs: the requested number. None means one per GPU, else cores over threads; on Slurm, all.
        most: how many jobs there are on Slurm.

    Raises:
        SpecError: when the place cannot train that many, or such runs.
    """
    if place is Place.inline and resources.processes > 1:
        raise SpecError(f"a run must have 1 process with --on inline, got {resources.processes}; use --on local")
    if jobs is not None and jobs > MOST_JOBS:
        raise SpecError(f"--jobs must be at most {MOST_JOBS:,}, got {jobs}")
    if place is not Place.slurm:
        return slots(resources, jobs)
    if jobs is not None and jobs < 1:
        raise SpecError(f"--jobs must be 1 or more, got {jobs}")
    if resources.device == "mps" or (resources.device_index or 0) > 0:
        raise SpecError(f"a job on Slurm sees its own GPUs only, got device {resources.device}; use --device cuda")
    return min(jobs or most, most)
