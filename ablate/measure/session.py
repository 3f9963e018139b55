"""A session: all modes and batch sizes in order, within a time budget; existing measurements are not repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate.measure import record as speed_record
from ablate.measure.group import Group, Setting
from ablate.measure.lock import alone
from ablate.measure.process import Process, Start, Worker, WorkerError
from ablate.measure.protocol import BATCHES, Mode, Protocol
from ablate.measure.subjects import Subject
from ablate.measure.workers import TimeUpError, WorkerPool
from ablate.spec.errors import SpecError
from ablate.store.root import Root


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The models, modes and batch sizes to measure.

    Args:
        subjects: the control first.
        modes: in this order.
        batches: the reference batch first; empty means the defaults of the device's type.
        device: a torch device's name, or "auto".
        force: measure again what exists, and replace it.
        budget_s: the time budget in seconds; None is unlimited. With one, the reference batches come first.
    """

    subjects: Sequence[Subject]
    modes: Sequence[Mode]
    batches: Sequence[int] = ()
    protocol: Protocol
    device: str = "auto"
    threads: int = 1
    budget_s: float | None = None
    force: bool = False

    def groups(self) -> list[tuple[Mode, int]]:
        """Return modes and batch sizes in order; latency is for inference only, so training has no batch of 1."""
        reference, *rest = self.batches
        sized = [reference] if self.budget_s is None else []
        first = [] if self.budget_s is None else [(mode, reference) for mode in self.modes]
        return first + [
            (mode, batch)
            for mode in self.modes
            for batch in [*sized, *rest]
            if batch > 1 or mode.work == "inference" or batch == reference
        ]


@dataclass
class Progress:
    """The progress of a session."""

    done: int
    total: int
    mode: str
    batch: int
    phase: str = ""
    label: str = ""
    rates: dict[str, float | str] = field(default_factory=dict)
    drift: float | None = None
    drift_known: bool = True
    finished: bool = False


class Session:
    """Measures a plan, except complete measurements with the same protocol and versions.

    Args:
        report: called with the progress.
        start: starts a worker; by default a process.
    """

    def __init__(
        self, root: Root, plan: Plan, report: Callable[[Progress], None], start: Callable[[Mode], Start] | None = None
    ) -> None:
        self.root, self.plan, self.report = root, plan, report
        self.start = start or self._processes
        self.failures: list[str] = []
        self.time_is_up = False
        self.folder: Path | None = None
        self.provenance: dict[str, Any] = {}
        self.peaks: dict[str, dict[str, Any]] = {}
        self.pool: WorkerPool | None = None
        self.mode: Mode | None = None
        self.deadline = None if plan.budget_s is None else time.monotonic() + plan.budget_s

    def _processes(self, mode: Mode) -> Start:
        logs = self.root.runs / "speed"

        def start(subject: Subject) -> Worker:
            return Process(logs / f"{subject.key}-{mode}.log", self.plan.threads)

        return start

    def run(self) -> None:
        """Measure what is missing; `failures` and `time_is_up` report what could not be measured."""
        with ExitStack() as held:
            try:
                self._find_device(self.plan.modes[0], held)
                self._measure_all()
            except TimeUpError:
                self.time_is_up = True
            finally:
                self._end_pool()

    def _measure_all(self) -> None:
        groups = self.plan.groups()
        for at, (mode, batch) in enumerate(groups):
            progress = Progress(at, len(groups), str(mode), batch)
            if members := self._members(mode, batch):
                self.report(progress)
                self._measure(members, mode, batch, progress)
            progress.finished, progress.done = True, at + 1
            self.report(progress)

    def _find_device(self, mode: Mode, held: ExitStack) -> None:
        """Find the device by the first worker that can build its model; it determines folder and batch sizes.

        From then on the device is locked.
        """
        pool = self._pool(mode)
        for subject in self.plan.subjects:
            if pool.start_workers([subject]):
                self.provenance = pool.facts[subject.key]["provenance"]
                device = pool.facts[subject.key]["device_id"]
                held.enter_context(alone(self.root.runs / speed_record.FOLDER, device, self.provenance["device"]))
                self.folder = self.root.results / speed_record.FOLDER / speed_record.device_folder(self.provenance)
                usual = BATCHES.get(self.provenance["device_type"], BATCHES["cpu"])
                self.plan = replace(self.plan, batches=self.plan.batches or usual)
                return
        raise SpecError(f"no model could be built: {self.failures[0]}")

    def _members(self, mode: Mode, batch: int) -> list[Subject]:
        """Return the control and the subjects without a complete measurement; empty if there are none."""
        everyone = self.plan.subjects
        lacking = [one for one in everyone if self.plan.force or not self._is_complete(one, mode, batch)]
        return list(dict.fromkeys([self.plan.subjects[0], *lacking])) if lacking else []

    def _is_complete(self, subject: Subject, mode: Mode, batch: int) -> bool:
        assert self.folder, "the device is known"
        path = self.folder / f"{subject.key}-{mode}-{batch}.json"
        if not path.exists():
            return False
        found = speed_record.read(path)
        return found.complete and found.answers(self.plan.protocol, self.provenance["versions"])

    def _measure(self, members: list[Subject], mode: Mode, batch: int, progress: Progress) -> None:
        pool = self._pool(mode)
        members = pool.start_workers(members)
        if not members or not self._find_peaks(pool, members, mode):
            return

        def show(phase: str, label: str) -> None:
            progress.phase, progress.label = phase, label
            self.report(progress)

        assert self.folder, "the device is known"
        setting = Setting(
            folder=self.folder,
            protocol=self.plan.protocol,
            reference_batch=self.plan.batches[0],
            peak=self.peaks[mode.dtype],
            force=self.plan.force,
            report=show,
        )
        group = Group(pool, members, mode, batch, setting)
        group.measure()
        progress.rates, progress.drift = group.rates(), group.session["drift"]
        progress.drift_known = progress.drift is not None or not group.rounds

    def _find_peaks(self, pool: WorkerPool, members: list[Subject], mode: Mode) -> bool:
        """Measure the device's peak for a mode once per session: that of its dtype, or of fp32 if higher."""
        try:
            for dtype in ("fp32", mode.dtype):
                if dtype not in self.peaks:
                    self.peaks[dtype] = pool.ask(members[0], "peak", dtype=dtype)
        except WorkerError as error:
            pool.drop(members[0], f"the device's peak could not be measured: {error}")
            return False
        self.peaks[mode.dtype] = max(self.peaks["fp32"], self.peaks[mode.dtype], key=lambda peak: peak["macs_per_s"])
        return True

    def _pool(self, mode: Mode) -> WorkerPool:
        """Return the workers of a mode; those of another mode are stopped first."""
        if self.pool is None or self.mode != mode:
            self._end_pool()
            order = {"mode": asdict(mode), "device": self.plan.device, "threads": self.plan.threads}
            self.pool = WorkerPool(self.start(mode), order, self._lost(mode), self.deadline)
            self.mode = mode
        return self.pool

    def _lost(self, mode: Mode) -> Callable[[Subject, str], None]:
        def note(subject: Subject, why: str) -> None:
            self.failures.append(f"{subject.label}, {mode}: {why}")

        return note

    def _end_pool(self) -> None:
        if self.pool:
            self.pool.close()
        self.pool = None
