"""Early convolutions: 3×3 at stride 2 until a token covers a patch, then 1×1 (Xiao et al., arXiv 2106.14881, §4).

The width doubles from layer to layer up to `dim`. A norm and ReLU follow each 3×3 convolution. The norm is over the
channels of each pixel, not over the batch as in the paper: batch statistics would make a run depend on its micro-batch
and on the number of devices. Unlike in the paper, the number of blocks is unchanged.
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
    """Return the output channels of the 3×3 convolutions, each of which halves the image."""
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
    """Return the class with its widths."""
    return type("ConvStem", (ConvStem,), {"widths": widths(run)})


def _outputs(run: Run) -> list[int]:
    """Return the number of output pixels of each 3×3 convolution."""
    return [(run.image_size // 2 ** (at + 1)) ** 2 for at in range(len(widths(run)))]


def params(run: Run, channels: int) -> int:
    """Return the number of parameters: filters and norms of the 3×3 layers, and the 1×1 layer with its bias."""
    pairs = zip([channels, *widths(run)], widths(run), strict=False)
    return sum(9 * before * after + 2 * after for before, after in pairs) + run.dim**2 + run.dim


def macs(run: Run, channels: int) -> int:
    """Return the MACs: nine products per output pixel and pair of channels, and the 1×1 layer over the patches."""
    pairs = zip([channels, *widths(run)], widths(run), _outputs(run), strict=False)
    return sum(9 * before * after * pixels for before, after, pixels in pairs) + run.side**2 * run.dim**2


def activations(run: Run) -> int:
    """Return the number of outputs of all convolutions."""
    pairs = zip(widths(run), _outputs(run), strict=True)
    return sum(width * pixels for width, pixels in pairs) + run.side**2 * run.dim
