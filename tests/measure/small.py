"""Sessions of three small models with workers that answer at once, and what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ablate.measure import record as speed_record
from ablate.measure.protocol import QUICK, matrix
from ablate.measure.record import Measurement
from ablate.measure.session import Plan, Progress, Session
from ablate.measure.subjects import Subject
from ablate.store.root import Root
from tests.measure.fake import FakeWorkers
from tests.tiny import TINY

NAMES = ("attention", "patch_ff", "none")
SUBJECTS = [Subject(name, TINY.replace(mixer=name), "", 1, 10) for name in NAMES]
PLAN = Plan(subjects=SUBJECTS, modes=matrix("fp32-eager-inference"), batches=(64,), protocol=QUICK)


def run(root: Root, fleet: FakeWorkers, plan: Plan = PLAN) -> tuple[Session, list[Progress]]:
    told: list[Progress] = []
    session = Session(root, plan, lambda news: told.append(replace(news)), fleet.start)
    session.run()
    assert fleet.alive == 0, "no worker is left behind"
    return session, told


def found(root: Root) -> dict[str, Measurement]:
    """Measurements by label, mode and batch."""
    each = (one for _, one in speed_record.read_all(root.results))
    return {f"{one.subject['label']} {one.mode['work']} {one.batch}": one for one in each}


def trouble_of(label: str, do: str, what: Any, batch: int | None = None, times: int = 1000) -> Any:
    """Trouble of one model at one order, at one batch size."""
    now: dict[str, Any] = {"left": times}

    def trouble(who: str, order: str, given: Mapping[str, Any]) -> None:
        if order == "prepare" and who == label:
            now["batch"] = given["batch"]
        if (who, order) == (label, do) and batch in (None, now.get("batch")) and now["left"]:
            now["left"] -= 1
            what()

    return trouble
