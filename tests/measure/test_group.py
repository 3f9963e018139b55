"""Windows that are thrown out, the control's drift, and too little memory: what counts, what is kept, what is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ablate.measure import frames as speed_frames
from ablate.measure import group
from ablate.measure.protocol import QUICK
from ablate.measure.session import Session
from ablate.store.root import Root
from tests.measure.fake import HOT, FakeWorkers, dead, full
from tests.measure.small import NAMES, PLAN, found, run, trouble_of


def test_the_drift_of_the_control_is_in_every_record(root: Root) -> None:
    rates = {"attention": (100.0, 100.0, 100.0, 94.0), "patch_ff": 200.0, "none": 300.0}
    _, told = run(root, FakeWorkers(rates=rates))
    for one in found(root).values():
        assert one.sessions[0]["drift"] == pytest.approx(-0.06)
        assert len(one.sessions[0]["load"]) == 2
        assert one.sessions[0]["finished"]
    assert told[-1].drift == pytest.approx(-0.06)
    assert speed_frames.frame(root)["drifted"].all()


def test_interrupted_after_the_last_window_the_drift_is_kept(root: Root) -> None:
    def trouble(label: str, do: str, order: Mapping[str, Any]) -> None:
        if do == "peak_memory":
            raise KeyboardInterrupt

    rates = {"attention": (100.0, 100.0, 100.0, 94.0), "patch_ff": 200.0, "none": 300.0}
    with pytest.raises(KeyboardInterrupt):
        Session(root, PLAN, lambda _: None, FakeWorkers(trouble, rates).start).run()
    run(root, FakeWorkers())
    for one in found(root).values():
        assert one.sessions[0]["drift"] == pytest.approx(-0.06)
        assert one.complete


@pytest.mark.parametrize("do", ["prepare", "warm_up", "window"])
def test_out_of_memory_is_recorded_at_its_rung_and_the_ladder_goes_on(root: Root, do: str) -> None:
    plan = replace(PLAN, batches=(64, 512, 16))
    session, told = run(root, FakeWorkers(trouble_of("patch_ff", do, full, batch=512)), plan)
    assert session.failures == []
    rung = found(root)["patch_ff inference 512"]
    assert (rung.status, rung.complete, rung.windows) == ("out of memory", True, [])
    assert found(root)["patch_ff inference 16"].status == "measured"
    assert found(root)["none inference 512"].status == "measured"
    assert next(news for news in told if news.finished and news.batch == 512).rates["patch_ff"] == "out of memory"
    fleet = FakeWorkers()
    run(root, fleet, plan)
    assert fleet.windows() == [], "it is an answer, not asked again"


def test_who_found_too_little_memory_beside_the_others_tries_alone(root: Root) -> None:
    run(root, FakeWorkers(trouble_of("patch_ff", "prepare", full, times=1)))
    assert found(root)["patch_ff inference 64"].status == "measured"


def test_the_control_out_of_memory_leaves_the_others_measured(root: Root) -> None:
    run(root, FakeWorkers(trouble_of("attention", "prepare", full)))
    assert found(root)["attention inference 64"].status == "out of memory"
    assert len(found(root)["none inference 64"].windows) == QUICK.rounds


def test_a_throttled_window_is_thrown_out_and_measured_again(root: Root) -> None:
    fleet = FakeWorkers(throttled={"patch_ff": (True, False, False, False)})
    session, told = run(root, fleet)
    assert session.failures == []
    one = found(root)["patch_ff inference 64"]
    assert [window["round"] for window in one.windows] == [2, 3, 4]
    assert one.complete
    (thrown,) = one.thrown
    assert (thrown["round"], thrown["last"], thrown["rate"], thrown["why"]) == (1, False, 200.0, [HOT])
    assert fleet.windows() == [*NAMES * 3, "attention", "patch_ff", "attention"], "beside the control, and no other"
    assert "round 4 of 3, to replace rejected windows" in [news.phase for news in told]
    assert speed_frames.frame(root).set_index("variant")["thrown"].to_dict() == {
        "attention": 0,
        "patch_ff": 1,
        "none": 0,
    }


def test_a_device_that_stays_throttled_ends_the_session_and_is_told(root: Root) -> None:
    fleet = FakeWorkers(throttled={"none": (True,)})
    session, told = run(root, fleet)
    assert fleet.windows().count("none") == group.MOST_ROUNDS * QUICK.rounds
    one = found(root)["none inference 64"]
    assert (one.windows, one.complete, len(one.thrown)) == ([], False, 6)
    assert found(root)["patch_ff inference 64"].complete
    (said,) = session.failures
    assert said.startswith("none, fp32-eager-nchw-inference: batch 64 has 0 of 3 windows, 6 were rejected (thermal")
    assert told[-1].rates["none"] == "not measured"
    again = FakeWorkers()
    run(root, again)
    assert again.windows().count("none") == QUICK.rounds, "the next session measures what is missing"
    assert found(root)["none inference 64"].complete
    assert len(found(root)["none inference 64"].thrown) == 6, "and the record keeps what was thrown out"


def test_the_drift_is_of_the_last_window_which_is_measured_again_where_it_was_thrown_out(root: Root) -> None:
    rates = {"attention": (100.0, 50.0, 100.0, 200.0, 94.0), "patch_ff": 200.0, "none": 300.0}
    fleet = FakeWorkers(rates=rates, throttled={"attention": (False, False, False, True, False)})
    _, told = run(root, fleet)
    assert fleet.windows() == [*NAMES * 3, "attention", "attention"]
    assert found(root)["none inference 64"].sessions[0]["drift"] == pytest.approx(-0.06)
    assert [window["last"] for window in found(root)["attention inference 64"].thrown] == [True]
    assert told[-1].drift_known


def lose_control_at_its_last_window() -> Any:
    seen: list[str] = []

    def trouble(label: str, do: str, order: Mapping[str, Any]) -> None:
        seen.extend([label] * (do == "window"))
        if label == "attention" and do == "window" and seen.count("attention") > QUICK.rounds:
            dead()

    return trouble


@pytest.mark.parametrize("lost", [True, False])
def test_without_a_last_window_the_drift_is_unknown(root: Root, lost: bool) -> None:
    """Of an earlier window it would be another drift."""
    rates = {"attention": (100.0, 50.0, 50.0), "patch_ff": 200.0, "none": 300.0}
    throttled = {"attention": (False, False, False, True, True, True)}
    fleet = (
        FakeWorkers(lose_control_at_its_last_window(), rates) if lost else FakeWorkers(rates=rates, throttled=throttled)
    )
    _, told = run(root, fleet)
    assert fleet.windows().count("attention") == QUICK.rounds + (1 if lost else group.LAST_TRIES)
    one = found(root)["none inference 64"]
    assert (one.sessions[0]["drift"], one.complete) == (None, True)
    assert not told[-1].drift_known
    assert not speed_frames.frame(root)["drift_known"].any()


def test_out_of_memory_in_the_steps_for_the_peak_alone_leaves_the_windows(root: Root) -> None:
    session, told = run(root, FakeWorkers(trouble_of("patch_ff", "peak_memory", full)))
    assert session.failures == []
    one = found(root)["patch_ff inference 64"]
    assert (one.status, one.memory_status, one.peak_memory_mib) == ("measured", "out of memory", None)
    assert (len(one.windows), one.complete) == (QUICK.rounds, True)
    assert told[-1].rates["patch_ff"] == 200.0
    row = speed_frames.frame(root).set_index("variant").loc["patch_ff"]
    assert (row["images_per_s"], row["status"], row["memory_status"]) == (200.0, "measured", "out of memory")
    fleet = FakeWorkers()
    run(root, fleet)
    assert fleet.told == [("attention", "build")], "it is an answer, not asked again"
