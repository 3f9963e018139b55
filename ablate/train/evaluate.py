"""Exact evaluation of a classifier: each image once, on any number of processes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ablate.data.images import Batch
from ablate.train.distributed import ALONE, World


@dataclass(frozen=True)
class Outcome:
    """The result of an exact evaluation.

    Args:
        loss: mean cross-entropy, in nats.
        correct: whether the label has the highest logit, bool, (n,), in the fixed order of the part.
        in_five: number of images whose label has one of the five highest logits.
    """

    loss: float
    correct: torch.Tensor
    in_five: int

    @property
    def top1(self) -> float:
        """Top-1 accuracy in percent."""
        return 100 * int(self.correct.sum()) / len(self.correct)

    @property
    def top5(self) -> float:
        """Top-5 accuracy in percent."""
        return 100 * self.in_five / len(self.correct)

    def metrics(self) -> dict[str, Any]:
        """Return loss (nats), top-1 and top-5 (percent), n, and `correct` as packed bits in base64."""
        bits = base64.b64encode(np.packbits(self.correct.numpy()).tobytes()).decode()
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss, "n": len(self.correct), "correct": bits}


@torch.inference_mode()
def evaluate(
    model: nn.Module, batches: Iterable[Batch], n: int, precision: str = "fp32", world: World = ALONE
) -> Outcome:
    """Return loss and accuracy over all images, the same on every process.

    Args:
        model: maps images (B, C, S, S) to logits (B, classes); it is left in evaluation mode.
        batches: batches of this process, which are a contiguous part of all images, as from `Images.evaluation`; none
            if there are fewer images than processes. Images without a label are padding.
        n: number of images of all processes.
        precision: precision of the forward pass, as in `Run`.
        world: the processes that share the images.
    """
    model.eval()
    logits_of, labels_of = [], []
    for images, labels in batches:
        if not len(labels):
            continue
        with autocast(precision, images.device):
            logits_of.append(model(images)[: len(labels)].float())
        labels_of.append(labels)
    logits, labels = _gather(logits_of, labels_of, model, world)
    assert len(labels) == n, f"an evaluation must read each of {n} images once, got {len(labels)}"
    hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    loss = F.cross_entropy(logits, labels).item()
    return Outcome(loss=loss, correct=hits[:, 0], in_five=int(hits.any(dim=1).sum()))


def padded(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Pad short batches to the size of the first, by repeating an image: a compiled model then has one shape."""
    size = 0
    for images, labels in batches:
        size = max(size, len(labels))
        lacking = size - len(labels) if len(labels) else 0
        yield (torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)]) if lacking else images), labels


def _gather(
    logits: list[torch.Tensor], labels: list[torch.Tensor], model: nn.Module, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels of all processes; one without images gets the number of classes from the others."""
    (classes,) = world.maximum([logits[0].shape[1] if logits else 0])
    device = next(model.parameters(), torch.empty(0)).device
    none = torch.empty(0, classes, device=device), torch.empty(0, dtype=torch.int64, device=device)
    found = zip((logits, labels), none, strict=True)
    all_logits, all_labels = (world.gather(torch.cat(parts) if parts else empty).cpu() for parts, empty in found)
    return all_logits, all_labels


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the autocast context of a precision, which is disabled for fp32."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
