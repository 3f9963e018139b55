"""Real workers: one tiny study from end to end, and what becomes of one that dies, is stuck or is asked nonsense."""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.measure import frames as speed_frames
from ablate.measure.frames import measured
from ablate.measure.process import Process, WorkerError, WorkerLostError
from ablate.measure.protocol import QUICK, Mode, matrix
from ablate.measure.session import Plan, Progress, Session
from ablate.measure.subjects import Subject
from ablate.measure.worker import build
from ablate.model.cost import complexity
from ablate.results.ranking import rankings
from ablate.store.root import Root
from tests.tiny import TINY

pytestmark = pytest.mark.slow

LOOK = replace(QUICK, rounds=2, window_s=0.005, warmup_s=0.005, warmup_most_s=0.05, calls=2)
SUBJECTS = [Subject(name, TINY.replace(mixer=name), "", 1, 10) for name in ("attention", "patch_ff")]


def order(subject: Subject) -> dict[str, Any]:
    return {"do": "build", "subject": subject.request(), "mode": asdict(Mode()), "device": "cpu", "threads": 1}


def test_a_tiny_study_from_end_to_end(root: Root) -> None:
    told: list[Progress] = []
    plan = Plan(
        subjects=SUBJECTS, modes=matrix("fp32-eager-inference"), batches=(4, 1), protocol=LOOK, device="cpu", threads=1
    )
    session = Session(root, plan, told.append)
    session.run()
    assert session.failures == []
    found = measured(root.results)
    assert len(found) == 2 * 2
    for one in found:
        assert one.found.complete
        assert all(rate > 0 for rate in one.found.rates)
        assert one.found.subject["macs"] == complexity(TINY.replace(mixer=one.variant), 1, 10)["macs"]
        assert one.found.provenance["versions"]["torch"] == str(torch.__version__)
        assert one.found.provenance["resources"] == {"threads": 1, "device": "cpu"}
        assert one.found.peak
        assert one.found.peak["macs_per_s"] > 1e6
    assert {order.n for order in rankings(found)} == {2}
    table = speed_frames.frame(root)
    assert table.loc[table["batch"] == 1, "latency_p50_ms"].gt(0).all()


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    process = Process(tmp_path / "logs" / "w.log", threads=1)
    yield process
    process.close()


def test_a_worker_answers_lives_on_after_an_error_and_its_death_is_told(worker: Process) -> None:
    worker.send(order(SUBJECTS[0]) | {"device": "cudda"})
    with pytest.raises(WorkerError, match=r"^device must be auto, cpu, cuda, cuda:N, mps, xpu or xpu:N, got 'cudda'"):
        worker.receive(600)
    worker.send(order(Subject("resmlp", timm="resmlp_13_224")))
    with pytest.raises(WorkerError, match="Unknown model") as caught:
        worker.receive(600)
    assert not caught.value.out_of_memory
    worker.send(order(SUBJECTS[0]))
    facts = worker.receive(600)
    assert facts["subject"]["architecture"] == TINY.architecture
    worker.send({"do": "prepare", "batch": 2**44})
    with pytest.raises(WorkerError) as caught:
        worker.receive(600)
    assert caught.value.out_of_memory
    worker.send({"do": "prepare", "batch": 2})
    assert worker.receive(600) > 0, "the ladder goes on"
    with pytest.raises(WorkerLostError, match="did not answer for 0 s and was stopped"):
        worker.receive(0.01)
    with pytest.raises((WorkerLostError, ValueError)):
        worker.send({"do": "peak_memory"})


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGKILL, r"was killed \(SIGKILL"), (signal.SIGTERM, r"ended \(signal SIGTERM\)")]
)
def test_a_killed_worker_is_told(worker: Process, number: int, told: str) -> None:
    os.kill(worker.process.pid, number)
    with pytest.raises(WorkerLostError, match=told):
        worker.receive(600)


@pytest.mark.usefixtures("one_thread")
def test_timm_s_models_are_built_with_their_own_shape_and_counted() -> None:
    _, shape, classes, costs = build(Subject("ablate_tiny", timm="ablate_tiny"))
    assert (shape, classes) == ((3, 224, 224), 1000)
    assert costs["params"] == 5_717_416
    assert costs["macs"] == pytest.approx(1.25e9, rel=0.01)
