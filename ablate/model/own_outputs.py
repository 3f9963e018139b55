"""Check that the outputs of the user's own parts depend on the image and the weights alone, as evaluation assumes.

A part that draws random numbers in evaluation, looks at other images of the batch, or keeps values outside the
parameters and buffers, has another accuracy in each batch, after resuming, or in another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ablate.model.build import build
from ablate.spec.errors import SpecError
from ablate.spec.run import Run

ORDER: Mapping[str, str] = {"stem": "patch_embed", "mixer": "blocks.0.attn", "channel": "blocks.0.mlp"}
OTHER = 1  # added to seeds
# Of the largest output: single precision leaves 1e-6 where the size of the batch changes the order of a sum.
SAME = 1e-4

Outputs = dict[str, torch.Tensor]


class Recorder:
    """The outputs of the user's own parts in evaluation.

    Args:
        run: a run with one block and a small image.
        files: the user's own files, by slot.
        seed: that of torch when the model is built.
    """

    def __init__(self, run: Run, channels: int, classes: int, files: Mapping[str, Path], seed: int) -> None:
        self.run, self.sizes, self.seed = run, (channels, classes), seed
        self.files = {slot: files[slot] for slot in ORDER if slot in files}

    def check_seed(self, model: nn.Module, images: torch.Tensor) -> None:
        """Refuse a part whose values at the start are not determined by the seed of the run."""
        torch.manual_seed(self.seed + OTHER)
        other = build(self.run, *self.sizes)
        self._compare(
            self._outputs(model, images),
            self._outputs(other, images),
            "must give the same outputs whenever it is built with the same seed of the run; draw what is random in a "
            "method init_weights(), or with a torch.Generator of a fixed seed",
        )

    def check_images(self, model: nn.Module, images: torch.Tensor) -> None:
        """Refuse a part that draws random numbers in evaluation, or mixes images."""
        torch.rand(1)  # so that setting the seed again changes the state
        before = torch.get_rng_state()
        together = self._outputs(model, images)
        if not torch.equal(torch.get_rng_state(), before):
            raise SpecError(
                f"{self._named} draws or seeds random numbers in evaluation; do it only if self.training is true, or "
                "with a torch.Generator"
            )
        again = self._outputs(model, images)
        self._compare(together, again, "must give the same outputs for the same images in evaluation")
        self._compare(
            {slot: out[:1] for slot, out in together.items()},
            self._outputs(model, images[:1]),
            "must treat each image alone in evaluation, but its outputs for one depend on the others in the batch; "
            "the first dimension is the batch",
        )

    def check_state(self, model: nn.Module, images: torch.Tensor) -> None:
        """Refuse a part with values that neither a checkpoint nor a weight file contains."""
        torch.manual_seed(self.seed + OTHER)
        loaded = build(self.run.replace(seed=self.run.seed + OTHER), *self.sizes)
        state = model.state_dict()
        if late := sorted(set(state) ^ set(loaded.state_dict())):
            raise SpecError(f"{self._named} must create its buffers in __init__, got {late[0]} in forward")
        loaded.load_state_dict(state)
        self._compare(
            self._outputs(model, images),
            self._outputs(loaded, images),
            "must keep all of its values in parameters and buffers, but its outputs differ after its state_dict is "
            "loaded; use register_buffer with persistent=True",
        )

    @property
    def _named(self) -> str:
        return " or ".join(map(str, self.files.values()))

    def _outputs(self, model: nn.Module, images: torch.Tensor) -> Outputs:
        """Return the output of each part."""
        found: Outputs = {}
        hooks = [
            module.register_forward_hook(lambda _, __, out, slot=slot: found.__setitem__(slot, out.clone()))
            for slot in self.files
            for name, module in model.named_modules()
            if name == ORDER[slot]
        ]
        with torch.no_grad():
            model.eval()(images)
        for hook in hooks:
            hook.remove()
        return found

    def _compare(self, one: Outputs, other: Outputs, rule: str) -> None:
        """Refuse the first part with two different outputs; later parts get its output as their input."""
        for slot, path in self.files.items():
            if slot in one and slot in other:
                largest = one[slot].abs().max()
                if (one[slot] - other[slot]).abs().max() > SAME * largest:
                    raise SpecError(f"{path} {rule}")
