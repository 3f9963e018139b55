"""The plots that need no file of their own: a row names the kind of plot, its columns, its title and its caption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["scatter", "lines", "curve", "scaling"]


class Entry(NamedTuple):
    """One plot.

    `kind` is a module of `ablate.report.drawing`. `x` and `y` are columns of the frame that this kind draws;
    "throughput" is the rate measured by `ablate bench`, or seen in training; "time" is derived from the rate.
    """

    kind: Kind
    title: str
    x: str
    y: str
    caption: str


AXIS_TITLES: Mapping[str, str] = {
    "batch": "Batch size",
    "depth": "Depth (blocks)",
    "dim": "Width (features)",
    "heldout_top1": "Held-out top-1 (%)",
    "macs": "MACs for one image",
    "params": "Parameters",
    "patch_size": "Patch size (pixels)",
    "tokens": "Tokens",
    "top1": "Test top-1 (%)",
    "train_loss": "Loss (nats)",
    "training_s": "Training time (s)",
}
# The frame that each kind draws, and the fields that a column follows from.
INPUTS: Mapping[Kind, str] = {"scatter": "runs", "lines": "runs", "curve": "curves", "scaling": "speed"}
DERIVED_FROM: Mapping[str, tuple[str, ...]] = {"tokens": ("patch_size", "image_size")}

_LINES = "a line per mixer, with 95 % t intervals over seeds."
_FRONT = (
    "Means and 95 % t intervals over seeds; faint points are single seeds; the dotted line is the Pareto front of the "
    "means."
)
_RATE = (
    "Measured by `ablate bench`, with the quartiles of its windows, in the mode named below; if not all variants are "
    "measured, the training rate of the runs"
)
_BAND = "the mean over seeds, with a band from the lowest to the highest seed."
_FIT = "Each line shows the exponent of its power-law fit with the 95 % interval"
_FIT_MACS = f"{_FIT}, and the exponent of its MACs."

# fmt: off
CATALOGUE: Mapping[str, Entry] = {
    "accuracy_depth": Entry("lines", "Accuracy and depth", "depth", "top1",
                            f"Test top-1 against the number of blocks: {_LINES}"),
    "accuracy_macs": Entry("scatter", "Accuracy and computation", "macs", "top1",
                           f"Test top-1 against multiply-accumulate operations for one image. {_FRONT}"),
    "accuracy_params": Entry("scatter", "Accuracy and size", "params", "top1",
                             f"Test top-1 against parameters. {_FRONT}"),
    "accuracy_patch": Entry("lines", "Accuracy and patch size", "patch_size", "top1",
                            f"Test top-1 against the patch size: {_LINES}"),
    "accuracy_throughput": Entry("scatter", "Accuracy and throughput", "throughput", "top1",
                                 f"Test top-1 against images per second. {_RATE}. {_FRONT}"),
    "accuracy_time": Entry("scatter", "Accuracy and training time", "training_s", "top1",
                           f"Test top-1 against seconds spent training, without evaluation. {_FRONT}"),
    "heldout_accuracy": Entry("curve", "Held-out accuracy", "epoch", "heldout_top1",
                              f"Top-1 on the held-out split per epoch: {_BAND}"),
    "memory_batch": Entry("scaling", "Memory and batch size", "batch", "memory",
                          f"Peak memory against the batch size, on logarithmic axes. {_FIT}."),
    "memory_tokens": Entry("scaling", "Memory and tokens", "tokens", "memory",
                           f"Peak memory against the number of tokens, on logarithmic axes. {_FIT}."),
    "scaling_batch": Entry("scaling", "Time and batch size", "batch", "time",
                           f"Time per step against the batch size, on logarithmic axes. {_FIT}."),
    "scaling_depth": Entry("scaling", "Time and depth", "depth", "time",
                           f"Time per image against the number of blocks, on logarithmic axes. {_FIT_MACS}"),
    "scaling_tokens": Entry("scaling", "Time and tokens", "tokens", "time",
                            f"Time per image against the number of tokens, on logarithmic axes. {_FIT_MACS}"),
    "scaling_width": Entry("scaling", "Time and width", "dim", "time",
                           f"Time per image against the width of the tokens, on logarithmic axes. {_FIT_MACS}"),
    "throughput_depth": Entry("lines", "Throughput and depth", "depth", "throughput",
                              f"Images per second against the number of blocks: a line per mixer. {_RATE}, with 95 % t "
                              "intervals over seeds."),
    "throughput_patch": Entry("lines", "Throughput and patch size", "patch_size", "throughput",
                              f"Images per second against the patch size: a line per mixer. {_RATE}, with 95 % t "
                              "intervals over seeds."),
    "training_loss": Entry("curve", "Training loss", "epoch", "train_loss",
                           f"Training loss per epoch: {_BAND}"),
}
# fmt: on
