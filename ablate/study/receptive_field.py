"""The receptive field of the logits, by a gradient: which patches they depend on, checked before training.

It uses a narrow model with the run's structure, in double precision, with all parameters redrawn: with the initial
weights, a head of zeros or a class token near zero would hide dependences. The gradient of a random combination of the
logits with respect to the image is then zero exactly for the patches that they do not depend on.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from ablate.model.build import assemble
from ablate.model.errors import explaining
from ablate.spec.errors import SpecError
from ablate.spec.plugins import files_of
from ablate.spec.run import SHAPING, Run

CHANNELS, CLASSES = 1, 4
SIDE = 16
DEPTH = 2
IMAGES = 2
# In double precision, cancellation leaves 1e-16 of the largest gradient; real dependences are far above this.
ZERO = 1e-11
SINGLE = 1e-6  # likewise in single precision


def unseen(run: Run) -> tuple[int, int]:
    """Return how many patches the logits do not depend on, and the number of patches; on a grid of at most 16×16.

    Two blocks are tested first, because more blocks can only enlarge the receptive field. The full depth is tested only
    if some patches are missing.
    """
    small = _narrow(run)
    seen = _seen(small)
    if not seen.all() and run.depth > DEPTH:
        seen = _seen(small.replace(depth=run.depth))
    return int((~seen).sum()), seen.numel()


def _narrow(run: Run) -> Run:
    """Return a run with the same structure at a small width."""
    kept = {name: value for name, value in run.to_dict().items() if name in SHAPING}
    grid = min(run.side, SIDE)
    kept |= {
        "image_size": grid * run.patch_size,
        "depth": min(run.depth, DEPTH),
        "heads": 2,
        "drop_path": 0.0,
        "drop": 0.0,
    }
    kept |= {"mlp_ratio": 2.0, "gating_ratio": 1.0, "token_ratio": 1.0, "token_hidden": 0, "cls_init": 1.0}
    if grid != run.side:
        kept["channel_heads"] = 1
    return _widen(kept, 8)


def _widen(fields: dict[str, object], dim: int) -> Run:
    """Return the run at the first valid width: a convolutional stem halves it several times."""
    while True:
        try:
            return Run.from_dict(fields | {"dim": dim})
        except SpecError:
            if dim > 4096:
                raise
            dim *= 2


@cache
def _seen(run: Run) -> torch.Tensor:
    """Return (patches,), bool: where the gradient is not zero for some image.

    Parts of the user's own that fail in double precision, such as those with constants of type float32, are tested in
    single precision, in which they were checked before.
    """
    try:
        return _depends(run, torch.float64, ZERO)
    except SpecError:
        if not files_of(run):
            raise
        return _depends(run, torch.float32, SINGLE)


def _depends(run: Run, dtype: torch.dtype, zero: float) -> torch.Tensor:
    """Return (patches,), bool: where the gradient is more than `zero` of the largest for some image."""
    with torch.random.fork_rng(devices=[]), explaining(run):
        torch.manual_seed(0)
        model = assemble(run, CHANNELS, CLASSES, weight_init="skip").to(dtype).eval()
        _redraw(model)
        images = torch.randn(IMAGES, CHANNELS, run.image_size, run.image_size, dtype=dtype)
        logits = model(images.requires_grad_())
        cotangent = torch.randn_like(logits)
    if not logits.requires_grad:
        return torch.zeros(run.side**2, dtype=torch.bool)
    (gradient,) = torch.autograd.grad((logits * cotangent).sum(), images, allow_unused=True, materialize_grads=True)
    largest = nn.functional.max_pool2d(gradient.abs(), run.patch_size).amax(dim=(0, 1)).flatten()
    return largest > zero * max(float(largest.max()), 1e-3)


def _redraw(model: nn.Module) -> None:
    """Redraw all parameters with a scale that keeps activations near one, and without zeros."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn_like(parameter) * fan_in**-0.5)
            else:
                parameter.copy_(1 + 0.5 * torch.rand_like(parameter))
