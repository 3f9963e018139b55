"""A Run to timm's VisionTransformer with one part exchanged, initialised by (seed, name of the module)."""

from __future__ import annotations

from typing import Literal

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import VisionTransformer, init_weights_vit_timm
from torch import nn

from ablate.model.block import parts
from ablate.spec.errors import SpecError
from ablate.spec.parts import STEMS
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 1


def build(run: Run, channels: int, classes: int) -> VisionTransformer:
    """The run's model, on the CPU (or the device of an enclosing `torch.device`), with its initial weights.

    Maps (B, channels, image_size, image_size) to logits (B, classes). With mixer "attention" it is timm's model of
    the same configuration: same parameter names, same outputs for the same weights.

    Args:
        channels: of the images.
        classes: number of them.
    """
    model = assemble(run, channels, classes)
    initialise(model, run)
    return model


def assemble(run: Run, channels: int, classes: int, weight_init: Literal["", "skip"] = "") -> VisionTransformer:
    """The run's model with whatever weights timm gives it, or with none to speak of: for those who ask for its shape.

    Args:
        weight_init: timm's argument; "skip" leaves the weights as PyTorch's layers draw them.
    """
    model = VisionTransformer(
        weight_init=weight_init,
        img_size=run.image_size,
        patch_size=run.patch_size,
        in_chans=channels,
        num_classes=classes,
        global_pool="token" if run.pool == "cls" else "avg",
        class_token=run.pool == "cls",
        fc_norm=not run.norm_before_pool,
        pos_embed="none" if run.pos_embed == "none" else "learn",
        embed_dim=run.dim,
        depth=run.depth,
        num_heads=run.heads,
        mlp_ratio=run.mlp_ratio,
        pos_drop_rate=run.drop,
        proj_drop_rate=run.drop,
        drop_path_rate=run.drop_path,
        embed_layer=STEMS[run.stem].layer(run),
        **parts(run),
    )
    if run.pos_embed == "sincos" and model.pos_embed is not None:
        model.pos_embed.requires_grad_(False)
    return model


def initialise(model: VisionTransformer, run: Run) -> None:
    """Draw every parameter from timm's distribution for it, with a generator of (seed, its module's name).

    Parameters that two variants share are therefore equal at the start, whatever else the variants hold.
    """
    with torch.random.fork_rng(devices=[]):
        # From the leaves up, as timm does: a module's own `init_weights` has the last word over its children.
        for name, module in reversed(list(model.named_modules())):
            if module is not model:
                _check_initialised(name, module)
                torch.manual_seed(derive(run.seed, "weights", name))
                init_weights_vit_timm(module, name)
        _initialise_embeddings(model, run)


def _check_initialised(name: str, module: nn.Module) -> None:
    """Refuse parameters that would keep whatever was drawn before: no seed of the run decides them."""
    known = isinstance(module, nn.Linear) or hasattr(module, "init_weights") or hasattr(module, "reset_parameters")
    if not known and (own := [own for own, _ in module.named_parameters(recurse=False)]):
        raise SpecError(
            f"{type(module).__name__} ({name}) holds parameters that nothing initialises: {', '.join(own)}; "
            "wanted is a method init_weights() that draws them"
        )


def _initialise_embeddings(model: VisionTransformer, run: Run) -> None:
    """Position embedding and class token, as timm's `VisionTransformer.init_weights` draws them."""
    if model.cls_token is not None:
        torch.manual_seed(derive(run.seed, "weights", "cls_token"))
        nn.init.normal_(model.cls_token, std=run.cls_init)
    if model.pos_embed is None:
        return
    torch.manual_seed(derive(run.seed, "weights", "pos_embed"))
    nn.init.trunc_normal_(model.pos_embed, std=0.02)
    if run.pos_embed == "sincos":
        with torch.no_grad():
            model.pos_embed.copy_(_sincos(run, model.pos_embed.device))


def _sincos(run: Run, device: torch.device) -> torch.Tensor:
    """timm's two-dimensional sines and cosines, (1, N, D); a class token has none."""
    table = build_sincos2d_pos_embed([run.side, run.side], run.dim, device=device)
    return nn.functional.pad(table, (0, 0, run.tokens - run.side**2, 0))[None]
