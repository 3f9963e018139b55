"""Speed and memory of one model in one mode: warm-up, windows, latency, peak. The protocol is in docs/measuring.md.

Only `ablate.measure.timing.timed` reads a clock, and it always waits for the device.
"""

from __future__ import annotations

import ctypes
import gc
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from torch import nn
from torch.nn import functional as F

from ablate.measure.clocks import Clocks
from ablate.measure.protocol import Mode, Protocol
from ablate.measure.timing import timed
from ablate.spec.errors import SpecError
from ablate.train import memory
from ablate.train.evaluate import autocast

MOST_TRIES = 4  # to reach the length of a window
PURE = {"bf16pure": torch.bfloat16}
PEAK_SIDES = {"cpu": 1024, "cuda": 8192}
PEAK_DTYPES = {"bf16": torch.bfloat16, "bf16pure": torch.bfloat16, "fp16": torch.float16}


class Bench:
    """A model in one mode, ready to be measured at several batch sizes in turn.

    A training step is a forward pass, cross-entropy on random labels, a backward pass and a step of AdamW with learning
    rate 0: all of the work, but the weights stay the same. Inputs are random, never zeros.

    Args:
        model: maps (B, channels, side, side) to logits (B, classes).
        shape: of one image: channels, height, width.
        classes: the number of classes.
    """

    def __init__(self, model: nn.Module, mode: Mode, shape: Sequence[int], classes: int, device: torch.device) -> None:
        if mode.dtype == "tf32" and device.type == "cpu":
            raise SpecError("the dtype on the CPU must be fp32 or bf16, got tf32")
        self.mode, self.shape, self.classes, self.device = mode, tuple(shape), classes, device
        self.dtype = PURE.get(mode.dtype, torch.float32)
        self.format = torch.channels_last if mode.layout == "nhwc" else torch.contiguous_format
        set_precision(mode.dtype)
        self.model = model.to(device=device, dtype=self.dtype)
        if mode.layout == "nhwc":
            self.model.to(memory_format=torch.channels_last)
        self.training = mode.work == "training"
        self.model.train(self.training)
        self.optimizer: torch.optim.Optimizer | None = None
        self.scaler = torch.amp.GradScaler(device.type, enabled=mode.dtype == "fp16")
        if self.training:
            self.optimizer = create_optimizer_v2(self.model, opt="adamw", lr=0.0, weight_decay=0.05, fused=True)
        self.clocks = Clocks(uuid(device))
        self.batch = 0

    def prepare(self, batch: int) -> float:
        """Prepare for a batch size and take the first step; return its seconds, including compilation."""
        self.batch = batch
        if self.mode.execution == "compile":
            torch.compiler.reset()
            self.model.compile(dynamic=False)
        self._fill()
        return timed(self.device, self.step).wall_s

    def _fill(self) -> None:
        """Draw random images and labels, the same for every model."""
        torch.manual_seed(0)
        images = torch.randn(self.batch, *self.shape, device=self.device, dtype=self.dtype)
        self.images = images.contiguous(memory_format=self.format)
        self.labels = torch.randint(self.classes, (self.batch,), device=self.device)

    def park(self) -> None:
        """Free memory for other processes until the next window."""
        self.images = self.labels = torch.empty(0)
        if self.optimizer:
            self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def resume(self, steps: int = 3) -> None:
        """Resume after `park`: allocate memory and fill caches."""
        self._fill()
        timed(self.device, lambda: self._steps(steps))

    def step(self) -> None:
        """Take one step of the mode's work; does not wait for the device."""
        if self.training:
            self._train()
        else:
            with torch.inference_mode(), self._autocast():
                self.model(self.images)

    def _train(self) -> None:
        assert self.optimizer, "a mode that trains has an optimiser"
        self.optimizer.zero_grad()
        with self._autocast():
            loss = F.cross_entropy(self.model(self.images), self.labels)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _autocast(self) -> torch.autocast:
        return autocast(self.mode.dtype if self.mode.dtype in ("bf16", "fp16") else "fp32", self.device)

    def _steps(self, number: int) -> None:
        for _ in range(number):
            self.step()

    def warm_up(self, protocol: Protocol) -> dict[str, Any]:
        """Step until two consecutive windows agree, within the limits of the protocol.

        Returns:
            `steps` and `seconds` it took, whether it `settled`, and `step_s`, seconds of a step at the end.
        """
        seconds, steps, rates = 0.0, 0, [math.inf, math.nan]
        step_s = timed(self.device, self.step).seconds
        while True:
            number = max(1, math.ceil(min(protocol.window_s, protocol.warmup_s) / 2 / step_s))
            took = timed(self.device, lambda: self._steps(number)).seconds  # noqa: B023 - called at once
            seconds, steps, step_s = seconds + took, steps + number, took / number
            rates = [rates[1], 1 / step_s]
            settled = abs(rates[1] / rates[0] - 1) <= protocol.agreement
            enough = seconds >= protocol.warmup_s and steps >= protocol.warmup_steps
            if (enough and settled) or seconds >= protocol.warmup_most_s:
                return {"steps": steps, "seconds": seconds, "settled": settled, "step_s": step_s}

    def window(self, seconds: float, step_s: float) -> dict[str, Any]:
        """Measure a window of at least some seconds.

        Args:
            step_s: approximate seconds per step.

        Returns:
            `rate` (images/s), `steps`, `seconds` and `wall_s`, whether both clocks `agree`, and the device's `clocks`.
        """
        for _ in range(MOST_TRIES):
            number = max(1, math.ceil(1.05 * seconds / step_s))
            took = timed(self.device, lambda: self._steps(number), self.clocks.poll)  # noqa: B023 - called at once
            step_s = took.seconds / number
            if took.seconds >= seconds:
                break
        return {
            "rate": self.batch / step_s,
            "steps": number,
            "seconds": took.seconds,
            "wall_s": took.wall_s,
            "agree": took.agree,
            "clocks": took.seen,
        }

    def latency(self, calls: int) -> list[float]:
        """Return the milliseconds of single synchronised steps."""
        return [1000 * timed(self.device, self.step).wall_s for _ in range(calls)]

    def peak_memory(self) -> float | None:
        """Return the peak memory of two steps in MiB; `ablate.train.memory.peak` says what counts."""
        self.park()
        gc.collect()
        _return_freed_memory()
        with memory.peak(self.device) as found:
            self._fill()
            timed(self.device, lambda: self._steps(2))
        return found["peak_memory_mib"]


def measure(
    model: nn.Module,
    mode: Mode,
    batch: int,
    shape: Sequence[int],
    classes: int,
    device: torch.device,
    protocol: Protocol,
) -> dict[str, Any]:
    """Measure one model alone, by the protocol without turns; see `Bench` for the arguments.

    Returns:
        `first_step_s`, `warmup`, `windows`, `latency_ms` (for a batch of 1), `peak_memory_mib`.
    """
    bench = Bench(model, mode, shape, classes, device)
    first = bench.prepare(batch)
    warmup = bench.warm_up(protocol)
    windows = [bench.window(protocol.window_s, warmup["step_s"]) for _ in range(protocol.rounds)]
    latency = bench.latency(protocol.calls * protocol.rounds) if batch == 1 else []
    return {
        "first_step_s": first,
        "warmup": warmup,
        "windows": windows,
        "latency_ms": latency,
        "peak_memory_mib": bench.peak_memory(),
    }


def set_precision(dtype: str) -> None:
    """Allow TensorFloat-32 in the mode tf32 only."""
    torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = dtype == "tf32"


@torch.inference_mode()
def peak_macs(dtype: str, device: torch.device, seconds: float = 0.25) -> dict[str, Any]:
    """Return the peak MACs per second of this device in a product of two large square matrices.

    Returns:
        `macs_per_s`, the best of five windows, and the `side` of the matrices.
    """
    set_precision(dtype)
    side = PEAK_SIDES.get(device.type, 4096)
    kind = PEAK_DTYPES.get(dtype, torch.float32)
    one, other = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    out = torch.empty_like(one)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(one, other, out=out)

    multiply(1)
    times = max(1, math.ceil(seconds / timed(device, lambda: multiply(1)).seconds))
    best = min(timed(device, lambda: multiply(times)).seconds for _ in range(5))
    return {"macs_per_s": side**3 * times / best, "side": side, "dtype": dtype}


def uuid(device: torch.device) -> str | None:
    """Return the UUID of a GPU; None for another device."""
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else None


def _return_freed_memory() -> None:
    """Return freed memory to the system, so that the resident size counts only memory in use."""
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
