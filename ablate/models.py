"""A Run to timm's VisionTransformer with one part exchanged, initialised by (seed, name of the module)."""

from __future__ import annotations

from typing import Any

import torch
from timm.models.vision_transformer import Block, VisionTransformer, init_weights_vit_timm
from torch import nn

from ablate.seeds import derive
from ablate.spec import MIXERS, Run

BEHAVIOUR = 1


class FeatureBlock(Block):
    """timm's block without its token-mixing branch: x + mlp(norm2(x)), (B, N, D) to (B, N, D)."""

    def __init__(self, dim: int, num_heads: int, *, attn_layer: Any, **kwargs: Any) -> None:
        super().__init__(dim, num_heads, **kwargs)
        del self.norm1, self.attn, self.ls1, self.drop_path1

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None, is_causal: bool = False) -> torch.Tensor:
        out: torch.Tensor = x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
        return out


def tokens(run: Run) -> int:
    """Number of tokens a block sees: the patches, and the class token where there is one."""
    return (run.image_size // run.patch_size) ** 2 + (run.pool == "cls")


def build(run: Run, channels: int, classes: int) -> VisionTransformer:
    """The run's model, on the CPU (or the device of an enclosing `torch.device`), with its initial weights.

    Maps (B, channels, image_size, image_size) to logits (B, classes). With mixer "attention" it is timm's model of
    the same configuration: same parameter names, same outputs for the same weights.

    Args:
        channels: of the pictures.
        classes: number of them.
    """
    layer = MIXERS[run.mixer].layer(run, tokens(run))
    model = VisionTransformer(
        img_size=run.image_size,
        patch_size=run.patch_size,
        in_chans=channels,
        num_classes=classes,
        global_pool="token" if run.pool == "cls" else "avg",
        class_token=run.pool == "cls",
        fc_norm=not run.norm_before_pool,
        embed_dim=run.dim,
        depth=run.depth,
        num_heads=run.heads,
        mlp_ratio=run.mlp_ratio,
        pos_drop_rate=run.drop,
        proj_drop_rate=run.drop,
        drop_path_rate=run.drop_path,
        block_fn=Block if layer else FeatureBlock,
        attn_layer=layer or nn.Identity,
    )
    initialise(model, run.seed)
    return model


def initialise(model: VisionTransformer, seed: int) -> None:
    """Draw every parameter from timm's distribution for it, with a generator of (seed, its module's name).

    Parameters that two variants share are therefore equal at the start, whatever else the variants hold.
    """
    with torch.random.fork_rng(devices=[]):
        # From the leaves up, as timm does: a module's own `init_weights` has the last word over its children.
        for name, module in reversed(list(model.named_modules())):
            if module is not model:
                torch.manual_seed(derive(seed, "weights", name))
                init_weights_vit_timm(module, name)
        _initialise_embeddings(model, seed)


def _initialise_embeddings(model: VisionTransformer, seed: int) -> None:
    """Position embedding and class token, as timm's `VisionTransformer.init_weights` draws them."""
    torch.manual_seed(derive(seed, "weights", "pos_embed"))
    assert model.pos_embed is not None, "every model here has one"
    nn.init.trunc_normal_(model.pos_embed, std=0.02)
    if model.cls_token is not None:
        torch.manual_seed(derive(seed, "weights", "cls_token"))
        nn.init.normal_(model.cls_token, std=1e-6)
