"""Check that what a user's own part returns depends on the image, the weights and the seed alone.

Otherwise a run that is resumed, repeated or evaluated in other batches would have another result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablate.spec.errors import SpecError

SEED = 0x2105_02723  # no part sets this seed by chance
CLOSE = 1e-3  # of the largest output: another size of a batch changes the last bits


def check_initial(model: nn.Module, twin: nn.Module, path: Path) -> None:
    """Check that two models of one run have equal weights and buffers, whatever was drawn before they were built."""
    others = twin.state_dict()
    for name, value in model.state_dict().items():
        if not torch.equal(value, others[name]):
            raise SpecError(
                f"the seed of a run must determine {name}, which {path} draws in __init__; draw it in init_weights()"
            )


def check_outputs(model: nn.Module, twin: nn.Module, name: str, images: torch.Tensor, path: Path) -> None:
    """Check the outputs of a part of a model, and of the same part of another model with the same weights.

    Args:
        name: of the part's module.
        images: at least two.
    """
    call = _Call(model.get_submodule(name))
    with torch.no_grad():
        call.record(model.eval(), images)
        torch.rand(1)  # so that setting the seed again is noticed
        state = torch.get_rng_state()
        first, again = call(), call()
        if not torch.equal(first, again):
            raise SpecError(
                f"forward in {path} must return the same for the same input in evaluation mode; draw random numbers "
                "only if self.training"
            )
        if not torch.equal(torch.get_rng_state(), state):
            raise SpecError(
                f"forward in {path} must leave torch's generator as it was in evaluation mode; draw random numbers "
                "only if self.training, and set no seed"
            )
        alone = call(images=1)
        if not torch.allclose(first[:1], alone, rtol=CLOSE, atol=CLOSE * float(first.abs().max())):
            raise SpecError(
                f"forward in {path} must treat each image by itself in evaluation mode, got other outputs for an image "
                "in a batch of two than alone; do not average or sort over the first dimension"
            )
        twin.load_state_dict(model.state_dict())
        other = twin.eval().get_submodule(name)
        if not torch.equal(first, call(other)):
            raise SpecError(
                f"equal weights must give equal outputs, but {path} draws a tensor in __init__ that is not among the "
                "weights; make it a parameter or a buffer, and draw it in init_weights()"
            )
        if not torch.equal(_in_training(call, call.part), _in_training(call, other)):
            raise SpecError(
                f"forward in {path} must depend on its input, its weights and torch's generator alone, got other "
                "outputs for the same three in training mode"
            )


class _Call:
    """A call of a part with the input that it has in a model."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part
        self.args: tuple[Any, ...] = ()
        self.options: Mapping[str, Any] = {}

    def record(self, model: nn.Module, images: torch.Tensor) -> None:
        """Take the input from a forward pass of the model."""

        def keep(_: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            self.args, self.options = (args[0].clone(), *args[1:]), options

        handle = self.part.register_forward_pre_hook(keep, with_kwargs=True)
        model(images)
        handle.remove()

    def __call__(self, part: nn.Module | None = None, images: int | None = None) -> torch.Tensor:
        """Return the output of the part, or of another one, for the first images."""
        found: torch.Tensor = (part or self.part)(self.args[0][:images].clone(), *self.args[1:], **self.options)
        return found.clone()


def _in_training(call: _Call, part: nn.Module) -> torch.Tensor:
    """Return the output of a part in training mode, and leave its weights and buffers as they were."""
    before = {name: value.clone() for name, value in part.state_dict().items()}
    torch.manual_seed(SEED)
    found = call(part.train())
    part.load_state_dict(before)
    return found
