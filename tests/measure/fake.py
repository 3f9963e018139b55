"""A worker that measures nothing and answers at once, and how to make measurements without one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ablate.measure.frames import Measured
from ablate.measure.process import Start, WorkerError, WorkerLostError
from ablate.measure.protocol import QUICK, Mode
from ablate.measure.record import Measurement
from ablate.measure.subjects import Subject

PROVENANCE: dict[str, Any] = {
    "device": "A CPU",
    "device_type": "cpu",
    "versions": {"torch": "2.0", "timm": "1.0"},
    "resources": {"threads": 1, "device": "cpu"},
}
PEAK = {"macs_per_s": 1e15, "side": 8, "dtype": "fp32"}
HOT = "thermal slowdown by hardware"
RATES = {"attention": 100.0, "patch_ff": 200.0, "none": 300.0}

Trouble = Callable[[str, str, Mapping[str, Any]], None]


def full(*_: Any) -> None:
    """Too little memory."""
    raise WorkerError("CUDA out of memory", out_of_memory=True)


def dead(*_: Any) -> None:
    """A worker that is gone."""
    raise WorkerLostError("ended (exit code 1): Killed")


class FakeWorkers:
    """Starts fake workers and keeps what they were told, as (label, what).

    Args:
        trouble: called with (label, what, order) before each answer; may raise.
        rates: images/s by label, or a sequence of them, one a window.
        throttled: by label, whether the device is throttled in each window, over and over; elsewhere it never is.
    """

    def __init__(
        self,
        trouble: Trouble = lambda *_: None,
        rates: Mapping[str, float | Sequence[float]] = RATES,
        throttled: Mapping[str, Sequence[bool]] = {},
    ) -> None:
        self.trouble = trouble
        self.throttled = {label: itertools.cycle(each) for label, each in throttled.items()}
        self.rates = {label: itertools.cycle([r] if isinstance(r, float) else r) for label, r in rates.items()}
        self.told: list[tuple[str, str]] = []
        self.started: Counter[str] = Counter()
        self.alive = 0

    def start(self, mode: Mode) -> Start:
        def start(subject: Subject) -> Fake:
            self.started[f"{subject.label} {mode}"] += 1
            self.alive += 1
            return Fake(self, subject)

        return start

    def windows(self) -> list[str]:
        """Whose windows were measured, in order."""
        return [label for label, do in self.told if do == "window"]


class Fake:
    """One worker."""

    def __init__(self, fleet: FakeWorkers, subject: Subject) -> None:
        self.fleet, self.subject = fleet, subject
        self.orders: list[Mapping[str, Any]] = []

    def send(self, order: Mapping[str, Any]) -> None:
        self.orders.append(order)

    def receive(self, timeout_s: float) -> Any:
        order = self.orders.pop(0)
        self.fleet.told.append((self.subject.label, order["do"]))
        self.fleet.trouble(self.subject.label, order["do"], order)
        return getattr(self, order["do"])(order)

    def build(self, order: Mapping[str, Any]) -> dict[str, Any]:
        tokens = self.subject.run.tokens if self.subject.run else 16
        about = {"channels": 1, "classes": 10, "image_size": 12, "params": 10, "macs": 1000 * tokens, "tokens": tokens}
        return {"subject": self.subject.facts() | about, "provenance": PROVENANCE, "device_id": "cpu"}

    def peak(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return PEAK

    def prepare(self, order: Mapping[str, Any]) -> float:
        return 0.5

    def warm_up(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return {"steps": 10, "seconds": 1.0, "settled": True, "step_s": 0.1}

    def window(self, order: Mapping[str, Any]) -> dict[str, Any]:
        rate = next(self.fleet.rates[self.subject.label])
        seen = {"steps": 3, "seconds": order["seconds"], "wall_s": order["seconds"], "agree": True}
        hot = next(self.fleet.throttled.get(self.subject.label, iter(())), False)
        clocks = {"throttled": [HOT] if hot else []}
        return {"window": {"rate": rate, **seen, "clocks": clocks}, "latency_ms": [1.0] * order["calls"]}

    def peak_memory(self, order: Mapping[str, Any]) -> float:
        return 64.0

    def close(self) -> None:
        self.fleet.alive -= 1


def measurement(
    subject: Subject, rates: Sequence[float], mode: str = "fp32-eager-nchw-inference", batch: int = 64, **more: Any
) -> Measurement:
    """What a session would have written of a subject, a window a round."""
    facts = subject.facts() | {"channels": 1, "classes": 10, "image_size": 12, "params": 10, "macs": 1000}
    session = {"id": "s", "control": "c", "members": [subject.key], "drift": 0.01, "load": [0.1, 0.1], "finished": None}
    windows = [
        {"session": "s", "round": at, "last": False, "rate": rate, "seconds": 1.0, "agree": True, "clocks": None}
        for at, rate in enumerate(rates, start=1)
    ]
    given: dict[str, Any] = {
        "subject": facts | {"tokens": subject.run.tokens if subject.run else None},
        "mode": asdict(Mode.of(mode)),
        "batch": batch,
        "reference_batch": 64,
        "protocol": QUICK.to_dict(),
        "provenance": PROVENANCE,
        "windows": windows,
        "sessions": [session],
        "peak_memory_mib": 64.0,
        "peak": PEAK,
        "complete": True,
    }
    return Measurement(**given | more)


def measured(
    subject: Subject, rates: Sequence[float], mode: str = "fp32-eager-nchw-inference", **more: Any
) -> Measured:
    """The same, under the subject's label."""
    return Measured(subject.label, "A CPU", "a-cpu", measurement(subject, rates, mode, **more))
