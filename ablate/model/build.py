"""Build the model of a run: timm's VisionTransformer with exchanged parts, initialised by (seed, module name)."""

from __future__ import annotations

from typing import Literal

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import VisionTransformer, init_weights_vit_timm
from torch import nn

from ablate.model.block import layer_class, parts
from ablate.model.errors import explaining
from ablate.spec.errors import SpecError
from ablate.spec.parts import STEMS
from ablate.spec.run import Run
from ablate.spec.seeds import derive

BEHAVIOUR = 1


def build(run: Run, channels: int, classes: int) -> VisionTransformer:
    """Return the model of a run with its initial weights, on the CPU or the device of an enclosing `torch.device`.

    It maps (B, channels, image_size, image_size) to logits (B, classes). With mixer "attention" it is the timm model of
    the same configuration: the same parameter names, and the same outputs for the same weights.

    Args:
        channels: number of image channels.
        classes: number of classes.
    """
    model = assemble(run, channels, classes)
    with explaining(run):
        initialise(model, run)
    return model


def assemble(run: Run, channels: int, classes: int, weight_init: Literal["", "skip"] = "") -> VisionTransformer:
    """Return the model of a run without its initial weights, for callers that need only its structure.

    Args:
        weight_init: argument of timm; "skip" leaves the weights that PyTorch's layers draw.

    Raises:
        SpecError: when a part in the user's own file raises an error.
    """
    with explaining(run):
        model = _assemble(run, channels, classes, weight_init)
    if run.pos_embed == "sincos" and model.pos_embed is not None:
        model.pos_embed.requires_grad_(False)
    return model


def _assemble(run: Run, channels: int, classes: int, weight_init: Literal["", "skip"]) -> VisionTransformer:
    return VisionTransformer(
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
        embed_layer=layer_class(STEMS, run.stem, run),
        **parts(run),
    )


def initialise(model: VisionTransformer, run: Run) -> None:
    """Draw every parameter from timm's distribution, with a generator seeded by (seed, module name).

    So parameters that two variants share are equal at the start, whatever else differs.
    """
    with torch.random.fork_rng(devices=[]):
        # Children first, as in timm: a module's own `init_weights` overrides those of its children.
        for name, module in reversed(list(model.named_modules())):
            if module is not model:
                _check_initialised(name, module)
                torch.manual_seed(derive(run.seed, "weights", name))
                init_weights_vit_timm(module, name)
        _initialise_embeddings(model, run)


def _check_initialised(name: str, module: nn.Module) -> None:
    """Refuse a module with parameters that the seed of the run would not determine."""
    known = isinstance(module, nn.Linear) or hasattr(module, "init_weights") or hasattr(module, "reset_parameters")
    if not known and (own := [own for own, _ in module.named_parameters(recurse=False)]):
        raise SpecError(
            f"{type(module).__name__} ({name}) has parameters that nothing initialises: {', '.join(own)}; "
            "add a method init_weights() that draws them"
        )


def _initialise_embeddings(model: VisionTransformer, run: Run) -> None:
    """Draw position embedding and class token as timm's `VisionTransformer.init_weights` does."""
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
    """Return timm's two-dimensional sine-cosine embedding, (1, N, D); zeros for a class token."""
    table = build_sincos2d_pos_embed([run.side, run.side], run.dim, device=device)
    return nn.functional.pad(table, (0, 0, run.tokens - run.side**2, 0))[None]
