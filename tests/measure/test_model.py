"""Measuring one model: warm-up, windows, latency and memory, with a clock of the test's own or on a tiny model."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from ablate.measure import model
from ablate.measure.model import Bench, measure, peak_macs
from ablate.measure.protocol import QUICK, WORDS, Mode, Protocol
from ablate.measure.timing import Elapsed
from ablate.model.build import build
from ablate.spec.errors import SpecError
from tests.tiny import TINY

CPU = torch.device("cpu")
SHAPE = (1, 12, 12)
# Any two windows agree: whether they do is another test's, with a clock of its own.
LOOK = replace(QUICK, rounds=2, window_s=0.003, warmup_s=0.003, agreement=math.inf, calls=2)
pytestmark = pytest.mark.usefixtures("one_thread")


class Slow(nn.Module):
    """A model whose forward pass moves a clock on, where one is given."""

    def __init__(self, seconds: float = 0.0, clock: list[float] | None = None) -> None:
        super().__init__()
        self.seconds, self.clock, self.head = seconds, clock or [0.0], nn.Linear(144, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.clock[0] += self.seconds
        out: torch.Tensor = self.head(x.flatten(1))
        return out


def bench(mode: Mode | None = None, model: nn.Module | None = None) -> Bench:
    return Bench(model or build(TINY, 1, 10), mode or Mode(), SHAPE, 10, CPU)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench whose steps take what the test says: a list of seconds a step, the last one for ever."""

    def make(*paces: float) -> Bench:
        made = bench()
        made.prepare(8)
        steps = list(paces)

        def timed(device: torch.device, work: Any, meanwhile: Any = lambda: None) -> Elapsed:
            taken.append(0)
            work()
            pace = steps.pop(0) if len(steps) > 1 else steps[0]
            return Elapsed(taken[-1] * pace, None, meanwhile())

        taken: list[int] = []
        monkeypatch.setattr(made, "step", lambda: taken.__setitem__(-1, taken[-1] + 1))
        monkeypatch.setattr(model, "timed", timed)
        return made

    return make


PACED = Protocol(name="p", rounds=1, window_s=1.0, warmup_s=3.0, warmup_steps=10, warmup_most_s=60.0, calls=1)


def test_warm_up_lasts_as_long_as_the_protocol_says(paced: Any) -> None:
    found = paced(0.01).warm_up(PACED)
    assert found["settled"]
    assert 3.0 <= found["seconds"] < 4.0
    assert found["step_s"] == pytest.approx(0.01)


def test_warm_up_takes_ten_steps_where_they_are_long(paced: Any) -> None:
    assert paced(2.0).warm_up(PACED)["steps"] == 10


def test_warm_up_goes_on_until_two_windows_agree(paced: Any) -> None:
    found = paced(0.01, *[0.01 * 1.1**n for n in range(20, 0, -1)], 0.01).warm_up(PACED)
    assert found["settled"]
    assert found["step_s"] == pytest.approx(0.01)


def test_a_warm_up_that_does_not_settle_ends_and_says_so(paced: Any) -> None:
    found = paced(*[0.01, 0.012] * 200).warm_up(PACED)
    assert not found["settled"]
    assert 60 <= found["seconds"] < 62


def test_a_window_is_as_long_as_asked_also_after_a_wrong_guess(paced: Any) -> None:
    found = paced(0.01).window(2.0, step_s=0.1)
    assert found["seconds"] >= 2.0
    assert found["rate"] == pytest.approx(8 / 0.01)
    assert found["steps"] * 0.01 == pytest.approx(found["seconds"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only a model moves on."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("work", WORDS["work"])
def test_what_a_step_takes_is_found_at_its_size(work: str, clock: list[float]) -> None:
    found = measure(Slow(0.02, clock), Mode(work=work), 4, SHAPE, 10, CPU, replace(LOOK, rounds=5))
    assert [4 / window["rate"] for window in found["windows"]] == pytest.approx([0.02] * 5)


def test_latency_is_of_single_steps(clock: list[float]) -> None:
    found = measure(Slow(0.01, clock), Mode(), 1, SHAPE, 10, CPU, LOOK)
    assert found["latency_ms"] == pytest.approx([10.0] * LOOK.calls * LOOK.rounds)
    assert measure(Slow(0.01, clock), Mode(), 2, SHAPE, 10, CPU, LOOK)["latency_ms"] == []


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16", "bf16pure"])
@pytest.mark.parametrize("layout", WORDS["layout"])
@pytest.mark.parametrize("work", WORDS["work"])
def test_every_mode_measures(dtype: str, layout: str, work: str) -> None:
    found = measure(build(TINY, 1, 10), Mode(dtype, "eager", layout, work), 4, SHAPE, 10, CPU, LOOK)
    assert all(window["rate"] > 0 and window["agree"] for window in found["windows"])
    assert found["warmup"]["steps"] >= 3
    assert found["first_step_s"] > 0


def test_training_does_all_the_work_and_changes_no_weight() -> None:
    made = bench(Mode(work="training"))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    made.prepare(4)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in made.model.parameters())
    assert made.optimizer
    assert all(int(state["step"]) == 1 for state in made.optimizer.state.values())
    assert all(torch.equal(before[name], value) for name, value in made.model.state_dict().items())


def test_inputs_are_random_and_the_same_for_every_model() -> None:
    one, other = bench(), bench(model=Slow())
    one.prepare(4)
    other.prepare(4)
    assert torch.equal(one.images, other.images)
    assert 0.5 < float(one.images.std()) < 1.5
    assert len(torch.unique(one.images)) > 500


def test_parked_it_holds_no_pictures_and_comes_back() -> None:
    made = bench(Mode(work="training"))
    made.prepare(4)
    made.park()
    assert made.images.numel() == 0
    assert all(parameter.grad is None for parameter in made.model.parameters())
    made.resume()
    assert len(made.images) == 4


def test_compiled_once_a_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[dict[str, Any]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **given: compiled.append(given))
    made = bench(Mode(execution="compile"))
    made.prepare(4)
    made.prepare(8)
    assert compiled == [{"dynamic": False}] * 2


def test_memory_grows_with_the_batch() -> None:
    made = bench(Mode(work="training"))
    made.prepare(8)
    small = made.peak_memory()
    made.batch = 4096
    large = made.peak_memory()
    if small is None or large is None:
        pytest.skip("the kernel does not tell a process's peak memory")
    assert large > small + 10


def test_a_gpu_s_mode_is_refused_on_the_cpu() -> None:
    with pytest.raises(SpecError, match="must be fp32 or bf16, got tf32"):
        bench(Mode(dtype="tf32"))


def test_the_peak_is_of_a_product_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.PEAK_SIDES, "cpu", 64)
    found = peak_macs("fp32", CPU, seconds=0.001)
    assert found["macs_per_s"] > 1e6
    assert (found["side"], found["dtype"]) == (64, "fp32")


def test_float32_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", said.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    model.set_precision("fp32")
    assert not torch.backends.cudnn.allow_tf32
    model.set_precision("tf32")
    assert torch.backends.cudnn.allow_tf32
    assert said == ["highest", "high"]
