"""timm's pre-norm block with exchangeable parts: token mixer, channel mixer, their order and their norms."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.layers import LayerNorm
from timm.models.vision_transformer import Block
from torch import nn

from ablate.spec.errors import SpecError
from ablate.spec.parts import CHANNELS, MIXERS, STEMS
from ablate.spec.printable import shown
from ablate.spec.registry import Registry
from ablate.spec.run import Run

BEHAVIOUR = 1


class TokenNorm(LayerNorm):
    """LayerNorm over the token axis, as in the released code of arXiv 2105.02723; maps (B, N, D) to (B, N, D)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = super().forward(x.transpose(1, 2))
        return normed.transpose(1, 2)


class VariantBlock(Block):
    """A block whose mixers may be missing, replaced, in the other order, or normalised over the tokens."""

    run: Run

    def __init__(self, *args: Any, attn_layer: Any, mlp_layer: Any, **kwargs: Any) -> None:
        layers = {"attn_layer": attn_layer or nn.Identity, "mlp_layer": mlp_layer or nn.Identity}
        super().__init__(*args, **(kwargs | layers))
        run = self.run
        factory: dict[str, Any] = {name: kwargs.get(name) for name in ("device", "dtype")}
        if run.token_norm == "token":  # noqa: S105 - an axis
            self.norm1 = TokenNorm(run.tokens, **factory)
        if run.channel_norm == "token":
            self.norm2 = TokenNorm(run.tokens, **factory)
        # A norm without its mixer would get no gradient; an identity as mixer would add norm(x).
        if attn_layer is None:
            del self.norm1, self.attn, self.ls1, self.drop_path1
        if mlp_layer is None:
            del self.norm2, self.mlp, self.ls2, self.drop_path2
        present = {"_mix_tokens": attn_layer, "_mix_channels": mlp_layer}
        order = reversed(present) if run.order == "channel_first" else present
        self.branches = [name for name in order if present[name] is not None]

    def _mix_tokens(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.drop_path1(self.ls1(self.attn(self.norm1(x))))
        return out

    def _mix_channels(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
        return out

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        for branch in self.branches:
            x = getattr(self, branch)(x)
        return x


def order_of(block: Any) -> list[str]:
    """Return the mixers of a block in their order, "mixer" and "channel"; timm's block mixes tokens first."""
    names = {"_mix_tokens": "mixer", "_mix_channels": "channel"}
    return [names[branch] for branch in getattr(block, "branches", names)]


def parts(run: Run) -> dict[str, Any]:
    """Return timm's arguments `block_fn`, `attn_layer` and `mlp_layer` for a run; timm's block where it suffices."""
    mixer = layer_class(MIXERS, run.mixer, run, run.tokens)
    channel = layer_class(CHANNELS, run.channel, run, run.tokens)
    plain = mixer and channel and run.order == "token_first" and {run.token_norm, run.channel_norm} == {"channel"}
    block = Block if plain else type("VariantBlock", (VariantBlock,), {"run": run})
    return {"block_fn": block, "attn_layer": mixer, "mlp_layer": channel}


def layer_class(registry: Registry, name: str, *args: Any) -> Any:
    """Return the class of a part's layer; None if a block has no such part, which every model needs as its stem.

    Raises:
        SpecError: when `layer` of its file returns anything else.
    """
    found = registry[name].layer(*args)
    if found is None and registry is not STEMS:
        return None
    if not (issubclass(found, nn.Module) if isinstance(found, type) else isinstance(found, partial)):
        raise SpecError(
            f"layer in {registry.path(name)} must return a class of torch.nn.Module (timm creates one object per "
            f"block), got {shown(found)}"
        )
    return found
