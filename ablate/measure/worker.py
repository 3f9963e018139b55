"""The process that measures one model in one mode: `python -m ablate.measure.worker`, one line of JSON per order.

The first line is the model to build. Each line has one answer, {"ok": …} or {"error": …, "out_of_memory": …}. Output of
libraries goes to the log, so that it is not mistaken for an answer. The worker ends when its input is closed.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from ablate.measure.protocol import Mode, Protocol
from ablate.measure.subjects import Subject
from ablate.spec.errors import SpecError
from ablate.spec.plugins import fingerprints
from ablate.train import devices

if TYPE_CHECKING:
    from torch import nn


def main() -> None:
    """Answer orders until the input is closed."""
    with _answers() as out:
        measuring: Measuring | None = None
        for line in sys.stdin.buffer:
            order = orjson.loads(line)
            do = order.pop("do")

            def answer() -> Any:
                nonlocal measuring
                if do == "build":  # noqa: B023 - called at once
                    measuring = Measuring(**order)  # noqa: B023
                    return measuring.facts
                return getattr(measuring, do)(**order)  # noqa: B023

            answered = _answer(answer)
            if measuring:
                measuring.rest()  # here, because before, the error of a failed order keeps its tensors alive
            out.write(orjson.dumps(answered) + b"\n")
            out.flush()


@contextmanager
def _answers() -> Iterator[BinaryIO]:
    """Open the pipe for answers, and redirect standard output to the log."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        yield out


def _answer(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"ok": work()}
    except Exception as error:
        from ablate.measure.timing import is_out_of_memory

        traceback.print_exc()
        first = next(iter(str(error).splitlines()), "")
        message = first if isinstance(error, SpecError) else f"{type(error).__name__}: {first}"
        return {"error": message, "out_of_memory": is_out_of_memory(error)}


class Measuring:
    """A subject's model in one mode, and the orders it can execute.

    Args:
        subject: its request.
        mode: its four words.
        device: a torch device's name, or "auto".
        threads: CPU threads.
    """

    def __init__(self, subject: Mapping[str, Any], mode: Mapping[str, str], device: str, threads: int) -> None:
        import torch

        from ablate.measure.model import Bench

        torch.set_num_threads(threads)
        self.device = devices.find(device)
        self.subject, self.mode = Subject.from_dict(subject), Mode(**mode)
        model, shape, classes, costs = build(self.subject)
        self.bench = Bench(model, self.mode, shape, classes, self.device)
        self.facts = self._facts(shape, classes, costs, threads)

    def _facts(self, shape: tuple[int, ...], classes: int, costs: Mapping[str, int], threads: int) -> dict[str, Any]:
        """Return facts about the model and the machine."""
        from ablate.measure.model import uuid
        from ablate.spec.resources import Resources
        from ablate.train.provenance import provenance_of

        own = fingerprints(self.subject.run) if self.subject.run else {}
        resources = Resources(threads=threads, device=str(self.device))
        where = provenance_of(resources, self.device)
        where["resources"] = {"threads": threads, "device": str(self.device)}
        del where["finished"]  # each session has its own
        about = {"channels": shape[0], "classes": classes, "image_size": shape[1], **costs}
        return {
            "subject": self.subject.facts() | about,
            "provenance": where | {"device_type": self.device.type} | ({"files": own} if own else {}),
            "device_id": uuid(self.device) or self.device.type,
        }

    def peak(self, dtype: str) -> dict[str, Any]:
        """Measure the device's peak, in MACs per second."""
        from ablate.measure.model import peak_macs, set_precision

        found = peak_macs(dtype, self.device)
        set_precision(self.mode.dtype)
        return found

    def prepare(self, batch: int) -> float:
        """Take the first step at a batch size; return its seconds."""
        return self.bench.prepare(batch)

    def warm_up(self, protocol: Mapping[str, Any]) -> dict[str, Any]:
        """Step until the rate is stable."""
        self.bench.resume()
        return self.bench.warm_up(Protocol(**protocol))

    def window(self, seconds: float, step_s: float, calls: int) -> dict[str, Any]:
        """Measure one window, and the latencies of `calls` single steps."""
        self.bench.resume()
        return {"window": self.bench.window(seconds, step_s), "latency_ms": self.bench.latency(calls)}

    def peak_memory(self) -> float | None:
        """Measure the peak memory of separate steps, in MiB."""
        return self.bench.peak_memory()

    def rest(self) -> None:
        """Free the memory of the last order for other workers."""
        gc.collect()
        self.bench.park()


def build(subject: Subject) -> tuple[nn.Module, tuple[int, ...], int, dict[str, int]]:
    """Return a subject's model, the shape of its images, its number of classes, and `params`, `macs` and `tokens`."""
    if subject.run is None:
        return _of_timm(subject.timm)
    from ablate.model.build import build as build_run
    from ablate.model.cost import complexity

    run = subject.run
    costs = complexity(run, subject.channels, subject.classes)
    shape = (subject.channels, run.image_size, run.image_size)
    chosen = {name: costs[name] for name in ("params", "macs", "tokens")}
    return build_run(run, subject.channels, subject.classes), shape, subject.classes, chosen


def _of_timm(name: str) -> tuple[nn.Module, tuple[int, ...], int, dict[str, int]]:
    import timm
    import torch
    from timm.data import resolve_data_config

    import ablate.zoo.timm_models  # noqa: F401 - importing registers them

    torch.manual_seed(0)
    model = timm.create_model(name)
    shape: tuple[int, ...] = resolve_data_config({}, model=model)["input_size"]  # type: ignore[no-untyped-call]
    params = sum(parameter.numel() for parameter in model.parameters())
    classes: Any = model.num_classes
    return model, tuple(shape), int(classes), {"params": params, "macs": count_macs(model, shape)}


def count_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Return the MACs of one image by torch's counter; attention is unfused, because fused is not counted."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        model.eval()(torch.randn(1, *shape))
    return int(counter.get_total_flops()) // 2


if __name__ == "__main__":
    main()
