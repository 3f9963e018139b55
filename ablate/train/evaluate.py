"""Exact evaluation of any classifier: each image once, on any number of processes."""

from __future__ import annotations

import base64
from collections.abc import Iterable
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
    """An exact evaluation: every image once. `correct` is bool, (n,), in the part's fixed order."""

    loss: float
    top1: float
    top5: float
    correct: torch.Tensor

    def metrics(self) -> dict[str, Any]:
        """Loss (nats), top-1 and top-5 (percent), n, and the outcome of each image as packed bits in base64."""
        bits = base64.b64encode(np.packbits(self.correct.numpy()).tobytes()).decode()
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss, "n": len(self.correct), "correct": bits}


@torch.inference_mode()
def evaluate(
    model: nn.Module, batches: Iterable[Batch], n: int, precision: str = "fp32", world: World = ALONE
) -> Outcome:
    """Loss and accuracy over images that come once each; the same on every process.

    Args:
        model: maps images (B, C, S, S) to logits (B, classes); it is left in evaluation mode.
        batches: of this process: its contiguous run of all images, as `Images.evaluation` gives for its share; none
            where there are fewer images than processes.
        n: number of images of all processes together.
        precision: of the forward pass, as in `Run`.
        world: the processes that share the images.
    """
    model.eval()
    logits_of, labels_of = [], []
    for images, labels in batches:
        if not len(labels):
            continue
        with autocast(precision, images.device):
            logits_of.append(model(images).float())
        labels_of.append(labels)
    logits, labels = _gathered(logits_of, labels_of, model, world)
    assert len(labels) == n, f"an evaluation reads each of {n} images once, and read {len(labels)}"
    hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    correct = hits[:, 0]
    return Outcome(
        loss=F.cross_entropy(logits, labels).item(),
        top1=100 * correct.float().mean().item(),
        top5=100 * hits.any(dim=1).float().mean().item(),
        correct=correct,
    )


def _gathered(
    logits: list[torch.Tensor], labels: list[torch.Tensor], model: nn.Module, world: World
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of all processes; one that saw no image learns from the others how many classes there are."""
    (classes,) = world.most([logits[0].shape[1] if logits else 0])
    device = next(model.parameters(), torch.empty(0)).device
    none = torch.empty(0, classes, device=device), torch.empty(0, dtype=torch.int64, device=device)
    found = zip((logits, labels), none, strict=True)
    mine, its = (world.gather(torch.cat(parts) if parts else empty).cpu() for parts, empty in found)
    return mine, its


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A run's precision as a context; fp32 changes nothing."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")
