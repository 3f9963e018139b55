"""Models measured together, in one mode at one batch size: in each round, every model has one window."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from ablate.measure import record as speed_record
from ablate.measure.process import WorkerError
from ablate.measure.protocol import Mode, Protocol
from ablate.measure.record import Measurement
from ablate.measure.subjects import Subject
from ablate.measure.workers import WorkerPool
from ablate.spec.errors import SpecError

# The most rounds of a session, as a multiple of the protocol's: it must end even if the device is always throttled.
MOST_ROUNDS = 2
LAST_TRIES = 3  # most windows of the control at the end, until one is not throttled


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings that all measurements of a session share."""

    folder: Path
    protocol: Protocol
    reference_batch: int
    peak: dict[str, Any]
    report: Callable[[str, str], None]
    force: bool = False


class Group:
    """The measurements of a mode and batch size.

    Args:
        pool: has a worker for each member.
        members: the control first.
    """

    def __init__(self, pool: WorkerPool, members: Sequence[Subject], mode: Mode, batch: int, setting: Setting) -> None:
        self.pool, self.mode, self.batch, self.setting = pool, mode, batch, setting
        self.members = list(members)
        self.control = members[0]
        # One object for all measurements, so that it is complete in each of them at the end.
        self.session: dict[str, Any] = {
            "id": f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}",
            "control": self.control.key,
            "members": [member.key for member in members],
            "drift": None,
            "load": [os.getloadavg()[0]],
            "finished": None,
        }
        self.found = {member: self._started(member) for member in members}
        self.step_s: dict[Subject, float] = {}
        self.rounds = 0

    def _started(self, subject: Subject) -> Measurement:
        """Return a measurement to resume, or an empty one."""
        facts, protocol = self.pool.facts[subject.key], self.setting.protocol
        new = Measurement(
            subject=facts["subject"],
            mode=asdict(self.mode),
            batch=self.batch,
            reference_batch=self.setting.reference_batch,
            protocol=protocol.to_dict(),
            provenance=facts["provenance"],
            peak=self.setting.peak,
        )
        path = self.setting.folder / new.name
        old = speed_record.read(path) if path.exists() and not self.setting.force else None
        if old and self._can_resume(old, new.provenance["versions"]):
            new.windows, new.thrown, new.sessions = old.windows, old.thrown, old.sessions
            new.protocol, new.latency_ms = old.protocol, old.latency_ms
            new.peak_memory_mib, new.memory_status = old.peak_memory_mib, old.memory_status
        new.sessions = [*new.sessions, self.session]
        return new

    def _can_resume(self, old: Measurement, versions: Mapping[str, Any]) -> bool:
        """Return whether new windows may be added to those of an earlier session."""
        protocol = self.setting.protocol
        thorough = old.answers(protocol, versions) and (old.complete or old.protocol == protocol.to_dict())
        return thorough and old.status == speed_record.MEASURED and not self.setting.force

    def measure(self) -> None:
        """Measure everything; write each result at once."""
        self._prepare()
        self._each("warm-up", self._warm_up)
        if needed := self._most_lacking():
            self._take_turns(needed)
            self._close_turns()
        self._each("peak memory", self._memory)
        self.session["load"].append(os.getloadavg()[0])
        self.session["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        for member in self.members:
            self.found[member].complete = not self._lacking(member)
        self._each("writing", self._write)
        self._report_lacking()

    def _take_turns(self, needed: int) -> None:
        """Measure rounds until every member has its windows; the number is bounded, since windows may be rejected."""
        while self._most_lacking() and self.rounds < MOST_ROUNDS * needed:
            self.rounds += 1
            more = "" if self.rounds <= needed else ", to replace rejected windows"
            self._each(f"round {self.rounds} of {needed}{more}", self._window)

    def _close_turns(self) -> None:
        """Measure the control again to determine the drift; repeat if that window is rejected."""
        for _ in range(LAST_TRIES):
            if self.control in self.members and self._last_window() is None:
                self.setting.report("the control again", self.control.label)
                self._guarded(self.control, lambda: self._window(self.control, last=True))
        self._note_drift()
        self._each("writing", self._write)  # a session interrupted after this point is not measured again

    def _lacking(self, subject: Subject) -> int:
        """Return how many windows a subject still needs; the control's last ones do not count."""
        found = self.found[subject]
        rounds: int = found.protocol["rounds"]
        return max(0, rounds - sum(not window["last"] for window in found.windows))

    def _most_lacking(self) -> int:
        return max((self._lacking(member) for member in self.members), default=0)

    def _report_lacking(self) -> None:
        """Report members with too many rejected windows; the next session resumes them."""
        for member in self.members:
            if lacking := self._lacking(member):
                thrown, rounds = self.found[member].thrown, self.found[member].protocol["rounds"]
                reasons = ", ".join(dict.fromkeys(why for window in thrown for why in window["why"]))
                counted = f"{rounds - lacking} of {rounds} windows, {len(thrown)} were rejected ({reasons})"
                self.pool.lost(member, f"batch {self.batch} has {counted}; run the same command to resume")

    def _each(self, phase: str, work: Callable[[Subject], None]) -> None:
        for member in list(self.members):
            self.setting.report(phase, member.label)
            self._guarded(member, lambda: work(member))  # noqa: B023 - called at once

    def _guarded(self, subject: Subject, work: Callable[[], None]) -> None:
        """Do some work for a subject; its failure does not stop the others."""
        try:
            work()
        except WorkerError as error:
            self._failed(subject, error)
        except SpecError as error:
            self.members.remove(subject)
            self.pool.drop(subject, str(error))

    def _failed(self, subject: Subject, error: WorkerError) -> None:
        self.members.remove(subject)
        if not error.out_of_memory:
            self.pool.drop(subject, str(error))
            return
        found = self.found[subject]
        found.status = speed_record.OUT_OF_MEMORY
        found.windows, found.latency_ms, found.complete = [], [], True
        self._write(subject)

    def _prepare(self) -> None:
        """Take the first step in all workers at the same time, because compilation takes long.

        Together they may run out of memory, so a worker that does tries again alone.
        """
        self.setting.report("first step", "all")
        answers = self.pool.together(self.members, "prepare", batch=self.batch)
        for subject, answer in answers.items():
            if isinstance(answer, WorkerError) and answer.out_of_memory:
                self._guarded(subject, lambda: self._prepare_alone(subject))  # noqa: B023 - called at once
            elif isinstance(answer, WorkerError):
                self._failed(subject, answer)
            else:
                self.found[subject].first_step_s = answer

    def _prepare_alone(self, subject: Subject) -> None:
        self.found[subject].first_step_s = self.pool.ask(subject, "prepare", batch=self.batch)

    def _warm_up(self, subject: Subject) -> None:
        found = self.pool.ask(subject, "warm_up", protocol=self.setting.protocol.to_dict())
        self.found[subject].warmup, self.step_s[subject] = found, found["step_s"]

    def _window(self, subject: Subject, *, last: bool = False) -> None:
        """Measure a window of a subject; if it has enough, only of the control."""
        if not self._lacking(subject) and subject is not self.control:
            return
        found, protocol = self.found[subject], self.setting.protocol
        calls = protocol.calls if self.batch == 1 else 0
        order = {"seconds": protocol.window_s, "step_s": self.step_s[subject], "calls": calls}
        answer = self.pool.ask(subject, "window", **order)
        place = {"session": self.session["id"], "round": self.rounds, "last": last}
        window = place | answer["window"]
        if why := (window["clocks"] or {}).get("throttled"):
            found.thrown.append({**place, "rate": window["rate"], "why": why})
        else:
            found.windows.append(window)
            found.latency_ms += [round(value, 4) for value in answer["latency_ms"]]
        self._write(subject)

    def _of_session(self, *, last: bool) -> list[float]:
        """Return the control's accepted rates in this session, of its rounds or of its last windows."""
        mine = [w for w in self.found[self.control].windows if w["session"] == self.session["id"]]
        return [window["rate"] for window in mine if window["last"] == last]

    def _last_window(self) -> float | None:
        return next(iter(self._of_session(last=True)), None)

    def _note_drift(self) -> None:
        """Record the relative change of the control from its first to its last window of the session, if known."""
        first, last = self._of_session(last=False), self._last_window()
        if first and last is not None:
            self.session["drift"] = last / first[0] - 1

    def _memory(self, subject: Subject) -> None:
        """Measure peak memory; if only this runs out of memory, the windows are kept."""
        found = self.found[subject]
        if found.peak_memory_mib is not None or found.memory_status == speed_record.OUT_OF_MEMORY:
            return
        try:
            found.peak_memory_mib = self.pool.ask(subject, "peak_memory")
        except WorkerError as error:
            if not error.out_of_memory:
                raise
            found.memory_status = speed_record.OUT_OF_MEMORY

    def _write(self, subject: Subject) -> None:
        speed_record.write(self.setting.folder, self.found[subject])

    def rates(self) -> dict[str, float | str]:
        """Return the current median rate of each member, images/s; or the reason why there is none."""
        return {member.label: _rate(one) for member, one in self.found.items()}


def _rate(found: Measurement) -> float | str:
    if found.rates:
        return median(found.rates)
    return speed_record.OUT_OF_MEMORY if found.status == speed_record.OUT_OF_MEMORY else "not measured"
