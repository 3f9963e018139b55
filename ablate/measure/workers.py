"""The workers of one mode: one per model, kept alive between windows and replaced when lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ablate.measure.process import TIMEOUT_S, Start, Worker, WorkerError, WorkerLostError
from ablate.measure.subjects import Subject

GRACE_S = 20.0  # beyond the time budget, for a running order


class TimeUpError(Exception):
    """The time budget is used up."""


class WorkerPool:
    """Workers by subject.

    Args:
        start: starts a worker process for a subject.
        order: the first order of every worker, in addition to its subject: mode, device, threads.
        lost: called with a subject and the reason if it could not be measured.
        deadline: `time.monotonic()` after which no order is sent.
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
        """Start missing workers together and build their models; return the subjects that have a worker."""
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
        """Return a worker's answer to one order.

        Raises:
            WorkerError: if the order failed; `WorkerLostError` if the worker has ended.
            TimeUpError: if the time budget is used up.
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
        """Return the answers of several workers that work at the same time; a failed one gives a `WorkerError`."""
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
        left = TIMEOUT_S if self.deadline is None else self.deadline + GRACE_S - time.monotonic()
        try:
            return self.workers[subject.key].receive(min(TIMEOUT_S, left))
        except WorkerLostError:
            self.workers.pop(subject.key).close()
            self._check_time()
            raise

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise TimeUpError

    def drop(self, subject: Subject, why: str) -> None:
        """Drop a subject and report the reason; another worker may try it at another batch size."""
        if worker := self.workers.pop(subject.key, None):
            worker.close()
        self.lost(subject, why)

    def close(self) -> None:
        """Stop all workers."""
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()
