"""Early convolutions: 3×3 at stride 2 until a token covers a patch, then 1×1 (Xiao et al., arXiv 2106.14881, §4).

Width doubles from layer to layer up to `dim`; a norm and ReLU follow each 3×3. The norm is over the channels of each
pixel and not over the batch as in the paper: batch statistics would make a run depend on its micro-batch and on the
number of devices. No block is taken away for the stem.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from timm.layers import LayerNorm2d
from torch import nn

from ablate.spec.run import Run

BEHAVIOUR = 1


def widths(run: Run) -> list[int]:
    """Output channels of the 3×3 convolutions, one for each halving of the image."""
    halvings = run.patch_size.bit_length() - 1
    return [run.dim // 2 ** (halvings - 1 - at) for at in range(halvings)]


class ConvStem(nn.Module):
    """Maps (B, C, S, S) to (B, (S/P)², D)."""

    widths: list[int]

    def __init__(
        self,
        img_size: int,
        patch_size: int,
        in_chans: int,
        embed_dim: int,
        device: Any = None,
        dtype: Any = None,
        **_: Any,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for at, (before, after) in enumerate(zip([in_chans, *self.widths], self.widths, strict=False)):
            layers[f"conv{at}"] = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False, **factory)
            layers[f"norm{at}"] = LayerNorm2d(after, **factory)
            layers[f"act{at}"] = nn.ReLU()
        layers["proj"] = nn.Conv2d(self.widths[-1], embed_dim, 1, **factory)
        self.layers = nn.Sequential(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out.flatten(2).transpose(1, 2)


def layer(run: Run) -> type[nn.Module]:
    """The class with its widths bound."""
    return type("ConvStem", (ConvStem,), {"widths": widths(run)})


def _outputs(run: Run) -> list[int]:
    """Pixels of each 3×3 convolution's output."""
    return [(run.image_size // 2 ** (at + 1)) ** 2 for at in range(len(widths(run)))]


def params(run: Run, channels: int) -> int:
    """Filters and norms of the 3×3 layers, then the 1×1 layer with its bias."""
    pairs = zip([channels, *widths(run)], widths(run), strict=False)
    return sum(9 * before * after + 2 * after for before, after in pairs) + run.dim**2 + run.dim


def macs(run: Run, channels: int) -> int:
    """Nine products for each output pixel and pair of channels, then 1×1 over the patches."""
    pairs = zip([channels, *widths(run)], widths(run), _outputs(run), strict=False)
    return sum(9 * before * after * pixels for before, after, pixels in pairs) + run.side**2 * run.dim**2


def activations(run: Run) -> int:
    """The outputs of every convolution."""
    pairs = zip(widths(run), _outputs(run), strict=True)
    return sum(width * pixels for width, pixels in pairs) + run.side**2 * run.dim
