"""The workers of one mode: one for each model, kept alive between its windows, replaced when lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablate.measure.process import PATIENCE_S, Start, Worker, WorkerError, WorkerLostError
from ablate.measure.subjects import Subject

GRACE_S = 20.0  # beyond the time budget, for an order on its way


class TimeUpError(Exception):
    """The time budget is spent."""


class WorkerPool:
    """Workers by subject.

    Args:
        start: starts a worker process for a subject.
        order: what every worker is told first, beside its subject: mode, device, threads.
        lost: called with a subject and a sentence when it could not be measured.
        deadline: `time.monotonic()` after which no order is given.
    """

    def __init__(
        self,
        start: Start,
        order: Mapping[str, Any],
        lost: Callable[[Subject, str], None],
        deadline: float | None = None,
    ) -> None:
        self.start, self.order, self.lost, self.deadline = start, order, lost, deadline
        self.workers: dict[str, Worker] = {}
        self.facts: dict[str, dict[str, Any]] = {}

    def start_workers(self, subjects: Sequence[Subject]) -> list[Subject]:
        """See that each has a worker with its model built, all started at once; returns those that have one."""
        missing = [subject for subject in subjects if subject.key not in self.workers]
        for subject in missing:
            self.workers[subject.key] = self.start(subject)
        found = self.together(missing, "build", of_each=lambda one: {"subject": one.request(), **self.order})
        for subject, answer in found.items():
            if isinstance(answer, WorkerError):
                self.drop(subject, str(answer))
            else:
                self.facts[subject.key] = answer
        return [subject for subject in subjects if subject.key in self.workers]

    def ask(self, subject: Subject, do: str, **order: Any) -> Any:
        """A worker's answer to one order.

        Raises:
            WorkerError: when it could not do it; `WorkerLostError` when it is gone.
            TimeUpError: when the budget is spent.
        """
        self._check_time()
        self.workers[subject.key].send({"do": do, **order})
        return self._answer(subject)

    def together(
        self,
        subjects: Sequence[Subject],
        do: str,
        of_each: Callable[[Subject], Mapping[str, Any]] = lambda _: {},
        **order: Any,
    ) -> dict[Subject, Any]:
        """The answers of several workers at work at the same time; a `WorkerError` stands for an answer."""
        self._check_time()
        answers: dict[Subject, Any] = {}
        for subject in subjects:
            try:
                self.workers[subject.key].send({"do": do, **order, **of_each(subject)})
            except WorkerError as error:
                answers[subject] = error
        for subject in subjects:
            if subject not in answers:
                try:
                    answers[subject] = self._answer(subject)
                except WorkerError as error:
                    answers[subject] = error
        return answers

    def _answer(self, subject: Subject) -> Any:
        left = PATIENCE_S if self.deadline is None else self.deadline + GRACE_S - time.monotonic()
        try:
            return self.workers[subject.key].receive(min(PATIENCE_S, left))
        except WorkerLostError:
            self.workers.pop(subject.key).close()
            self._check_time()
            raise

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise TimeUpError

    def drop(self, subject: Subject, why: str) -> None:
        """Do without a subject, and say why; another worker may try it at another batch size."""
        if worker := self.workers.pop(subject.key, None):
            worker.close()
        self.lost(subject, why)

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()
