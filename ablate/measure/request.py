"""What to measure, from a request; and what was measured of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ablate.measure.frames import Measured, measured
from ablate.measure.protocol import BUDGET, FULL, QUICK, matrix
from ablate.measure.session import Plan, Session
from ablate.measure.subjects import Subject, of_names, of_study, of_timm
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from ablate.study.study import Study


def subjects_of(study: Study | None, scale: str | None, models: Sequence[str], timm: Sequence[str]) -> list[Subject]:
    """Return the models of a study, named ones and timm models, each once.

    Raises:
        SpecError: when there is none, or one is unknown.
    """
    if scale and study is None:
        raise SpecError(f"--scale {scale} needs a study; add its name")
    found = of_study(study, scale) if study else []
    found += of_names(models) + of_timm(timm)
    if not found:
        raise SpecError("bench needs a study, --models or --timm; add one of them")
    once: dict[str, Subject] = {}
    for subject in found:
        once.setdefault(subject.key, subject)  # the first is the control, with its first label
    return list(once.values())


def plan_of(
    subjects: Sequence[Subject],
    *,
    modes: str | None,
    batches: Sequence[int],
    quick: bool,
    budget_s: float | None,
    force: bool,
    device: str,
    threads: int | None,
) -> Plan:
    """Return the plan of a session; a time budget and `quick` choose short windows.

    Raises:
        SpecError: for an unknown mode, and fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise SpecError(f"--threads must be 1 or more, got {threads}")
    return Plan(
        subjects=subjects,
        modes=matrix(modes),
        batches=batches,
        protocol=QUICK if quick else FULL if budget_s is None else BUDGET,
        device=device,
        threads=threads or len(os.sched_getaffinity(0)),
        budget_s=budget_s,
        force=force,
    )


def found_of(root: Root, subjects: Sequence[Subject], session: Session | None) -> list[Measured]:
    """Return the records of some subjects with their labels; after a session, only those of its device."""
    labels = {subject.key: subject.label for subject in subjects}
    order = list(labels)
    mine = [one for one in measured(root.results) if one.found.subject["key"] in labels]
    if session and session.folder:
        where = session.folder.name
        mine = [one for one in mine if one.folder == where]
    mine.sort(key=lambda one: order.index(one.found.subject["key"]))
    return [replace(one, variant=labels[one.found.subject["key"]]) for one in mine]
