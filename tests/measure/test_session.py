"""The order of everything, with workers that answer at once: turns, resuming, trouble, and a time budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.measure import workers as pool
from ablate.measure.process import WorkerError
from ablate.measure.protocol import BATCHES, FULL, QUICK, matrix
from ablate.measure.session import Session
from ablate.spec.errors import SpecError
from ablate.store.root import Root
from tests.measure.fake import FakeWorkers, dead
from tests.measure.small import NAMES, PLAN, SUBJECTS, found, run, trouble_of


def test_models_take_turns_and_the_control_is_first_and_last(root: Root) -> None:
    fleet = FakeWorkers()
    session, _ = run(root, fleet)
    assert fleet.windows() == [*NAMES * QUICK.rounds, "attention"]
    assert session.failures == []
    assert all(one.complete and one.peak_memory_mib == 64.0 for one in found(root).values())
    assert [len(one.windows) for one in found(root).values()].count(QUICK.rounds) == 2


def test_one_process_a_model_and_mode_lives_through_all_rounds_and_batches(root: Root) -> None:
    fleet = FakeWorkers()
    run(root, fleet, replace(PLAN, modes=matrix("fp32-eager"), batches=(64, 16)))
    assert set(fleet.started.values()) == {1}
    assert len(fleet.started) == 3 * 2


def test_every_mode_and_batch_has_its_record(root: Root) -> None:
    run(root, FakeWorkers(), replace(PLAN, modes=matrix("fp32-eager"), batches=(64, 1)))
    assert set(found(root)) == {
        f"{name} {place}" for name in NAMES for place in ("inference 64", "inference 1", "training 64")
    }
    assert len(found(root)["none inference 1"].latency_ms) == QUICK.calls * QUICK.rounds
    assert found(root)["none inference 64"].latency_ms == []


def test_what_is_there_is_not_measured_again(root: Root) -> None:
    run(root, FakeWorkers())
    before = {path: path.read_bytes() for path in root.results.rglob("*.json")}
    fleet = FakeWorkers()
    run(root, fleet)
    assert fleet.windows() == []
    assert before == {path: path.read_bytes() for path in root.results.rglob("*.json")}


def test_asked_to_it_measures_again_and_replaces_what_was_there(root: Root) -> None:
    run(root, FakeWorkers())
    before = {one.sessions[0]["id"] for one in found(root).values()}
    run(root, FakeWorkers(), replace(PLAN, force=True))
    for one in found(root).values():
        assert len(one.sessions) == 1
        assert one.sessions[0]["id"] not in before
        assert one.complete


def test_a_quick_look_does_not_answer_for_the_full_protocol_but_the_other_way_it_does(root: Root) -> None:
    run(root, FakeWorkers())
    run(root, FakeWorkers(), replace(PLAN, protocol=FULL))
    assert {one.protocol["name"] for one in found(root).values()} == {"full"}
    assert len(found(root)["none inference 64"].windows) == FULL.rounds, "the short windows do not stand beside"
    fleet = FakeWorkers()
    run(root, fleet)
    assert fleet.windows() == []


def test_other_versions_are_measured_again(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root, FakeWorkers())
    newer = {"torch": "2.0", "timm": "1.1"}
    monkeypatch.setitem(__import__("tests.measure.fake", fromlist=["x"]).PROVENANCE, "versions", newer)
    fleet = FakeWorkers()
    run(root, fleet)
    assert len(fleet.windows()) == 10
    assert len(found(root)["none inference 64"].windows) == QUICK.rounds


def interrupt_at(number: int) -> Any:
    """Ctrl-C at some window."""
    seen = []

    def trouble(label: str, do: str, order: Mapping[str, Any]) -> None:
        seen.append(do)
        if seen.count("window") == number:
            raise KeyboardInterrupt

    return trouble


def test_interrupted_it_keeps_partial_rounds_and_goes_on(root: Root) -> None:
    fleet = FakeWorkers(interrupt_at(5))
    session = Session(root, PLAN, lambda _: None, fleet.start)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert fleet.alive == 0
    assert not any(one.complete for one in found(root).values())
    rounds = {label: len(one.windows) for label, one in found(root).items()}
    assert rounds == {"attention inference 64": 2, "patch_ff inference 64": 1, "none inference 64": 1}
    again = FakeWorkers()
    run(root, again)
    assert again.windows() == ["attention", "patch_ff", "none"] * 2 + ["attention"]
    rounds = {label: len(one.windows) for label, one in found(root).items()}
    assert rounds == {"attention inference 64": 5, "patch_ff inference 64": 3, "none inference 64": 3}
    assert all(len(one.sessions) == 2 for one in found(root).values())


def test_a_model_added_later_is_measured_beside_the_control(root: Root) -> None:
    run(root, FakeWorkers(), replace(PLAN, subjects=SUBJECTS[:2]))
    fleet = FakeWorkers()
    run(root, fleet)
    assert set(fleet.windows()) == {"attention", "none"}
    assert len(found(root)["none inference 64"].windows) == QUICK.rounds


def broken(*_: Any) -> None:
    raise WorkerError("RuntimeError: shapes do not fit")


@pytest.mark.parametrize("do", ["build", "prepare", "warm_up", "window", "peak_memory"])
@pytest.mark.parametrize("what", [dead, broken])
def test_a_lost_worker_is_told_and_stops_nobody_else(root: Root, do: str, what: Any) -> None:
    session, _ = run(root, FakeWorkers(trouble_of("patch_ff", do, what)))
    (told,) = session.failures
    assert told.startswith("patch_ff, fp32-eager-nchw-inference: ")
    assert "Killed" in told or "shapes do not fit" in told
    assert found(root)["none inference 64"].complete
    assert "patch_ff inference 64" not in found(root) or not found(root)["patch_ff inference 64"].complete


def test_a_lost_worker_is_replaced_at_the_next_rung(root: Root) -> None:
    fleet = FakeWorkers(trouble_of("patch_ff", "warm_up", dead, times=1))
    run(root, fleet, replace(PLAN, batches=(64, 16)))
    assert fleet.started["patch_ff fp32-eager-nchw-inference"] == 2
    assert found(root)["patch_ff inference 16"].complete
    assert "patch_ff inference 64" not in found(root)


def test_an_impossible_rate_is_told_and_not_written(root: Root) -> None:
    session, _ = run(root, FakeWorkers(rates={"attention": 100.0, "patch_ff": 1e13, "none": 300.0}))
    assert "above the device's measured peak" in session.failures[0]
    assert "patch_ff inference 64" not in found(root)
    assert found(root)["none inference 64"].complete


def test_where_no_model_can_be_built_it_is_said_why(root: Root) -> None:
    def trouble(label: str, do: str, order: Mapping[str, Any]) -> None:
        raise WorkerError("unknown mixer")

    with pytest.raises(SpecError, match=r"no model could be built: attention, .*: unknown mixer"):
        run(root, FakeWorkers(trouble))


BUDGETED = replace(PLAN, modes=matrix("fp32-eager"), batches=(64, 16), budget_s=1000.0)


def test_with_a_budget_every_mode_s_headline_comes_first() -> None:
    order = [(mode.work, batch) for mode, batch in BUDGETED.groups()]
    assert order == [("inference", 64), ("training", 64), ("inference", 16), ("training", 16)]
    order = [(mode.work, batch) for mode, batch in replace(BUDGETED, budget_s=None).groups()]
    assert order == [("inference", 64), ("inference", 16), ("training", 64), ("training", 16)]


def test_several_short_stays_complete_the_matrix(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def tick(label: str, do: str, order: Mapping[str, Any]) -> None:
        clock[0] += 1.0

    stays, windows = 0, 0
    while True:
        fleet = FakeWorkers(tick)
        session, _ = run(root, fleet, replace(BUDGETED, budget_s=40.0))
        stays, windows = stays + 1, windows + len(fleet.windows())
        if not session.time_is_up:
            break
        assert stays < 20, "each stay gets on"
    assert stays > 2
    assert len(found(root)) == 12
    assert all(one.complete for one in found(root).values())


def test_a_stuck_worker_does_not_outlast_the_budget(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    waited: list[float] = []

    def trouble(label: str, do: str, order: Mapping[str, Any]) -> None:
        if do == "warm_up":
            clock[0] += 900.0
            waited.append(clock[0])
            dead()

    session, _ = run(root, FakeWorkers(trouble), replace(PLAN, budget_s=540.0))
    assert session.time_is_up
    assert len(waited) == 1
    assert pool.GRACE_S < 60


def test_what_is_told_counts_up(root: Root) -> None:
    _, told = run(root, FakeWorkers(), replace(PLAN, batches=(64, 16)))
    assert [news.done for news in told if news.finished] == [1, 2]
    assert {news.total for news in told} == {2}
    phases: Sequence[str] = [news.phase for news in told]
    assert "round 1 of 3" in phases
    assert "peak memory" in phases


def test_without_batches_those_of_the_device_s_type(root: Root) -> None:
    run(root, FakeWorkers(), replace(PLAN, batches=()))
    assert {one.batch for one in found(root).values()} == set(BATCHES["cpu"])
    assert {one.reference_batch for one in found(root).values()} == {BATCHES["cpu"][0]}


def test_the_folder_is_the_device_s(root: Root) -> None:
    session, _ = run(root, FakeWorkers())
    assert session.folder == root.results / "speed" / "a-cpu-1-thread-torch-2.0"
    assert isinstance(session.folder, Path)
