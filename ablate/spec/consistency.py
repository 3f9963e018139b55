"""Fields of a `Run` that must fit each other: divisors, exclusive choices, and settings that would have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.spec.errors import SpecError

if TYPE_CHECKING:
    from ablate.spec.run import Run


MOST_TOKENS, MOST_WEIGHTS, MOST_MIXED = 2**20, 2**38, 2**58


def check_consistency(run: Run) -> None:
    """Raise a `SpecError` for the first combination of fields that describes no sensible run."""
    _check_widths(run)
    _check_images(run)
    if run.mixer == "none" and run.channel == "none":
        raise SpecError("mixer and channel are both 'none', which leaves an empty block; set one of them")
    if run.channel == "attention" and run.tokens % run.channel_heads:
        raise SpecError(f"channel_heads must divide the {run.tokens} tokens, got {run.channel_heads}")
    if run.pos_embed == "sincos" and run.dim % 4:
        raise SpecError(f"dim must be a multiple of 4 with pos_embed 'sincos', got {run.dim}")
    if run.stem == "conv":
        _check_conv_stem(run)
    if run.warmup_epochs >= run.epochs:
        raise SpecError(f"warmup_epochs must be below epochs, which is {run.epochs}, got {run.warmup_epochs}")
    if run.pool == "cls" and not run.norm_before_pool:
        raise SpecError("norm_before_pool must be True with pool 'cls', where it has no effect; or set pool to 'avg'")


def _check_widths(run: Run) -> None:
    if run.image_size % run.patch_size:
        raise SpecError(f"patch_size must divide image_size, which is {run.image_size}, got {run.patch_size}")
    if run.tokens > MOST_TOKENS:
        raise SpecError(
            f"image_size {run.image_size} with patch_size {run.patch_size} gives {run.tokens:,} tokens, and must give "
            f"at most {MOST_TOKENS:,}; increase patch_size"
        )
    _check_size(run)
    if run.dim % run.heads:
        raise SpecError(f"heads must divide dim, which is {run.dim}, got {run.heads}")
    if run.mlp_ratio * run.dim < 1:
        raise SpecError(f"mlp_ratio {run.mlp_ratio:g} of dim {run.dim} leaves no hidden layer; increase it")
    if run.token_hidden == 0 and round(run.token_ratio * run.tokens) < 1:
        raise SpecError(f"token_ratio {run.token_ratio:g} of {run.tokens} tokens leaves no hidden layer; increase it")
    if round(run.gating_ratio * run.dim) < 1:
        raise SpecError(f"gating_ratio {run.gating_ratio:g} of dim {run.dim} leaves no gate; increase it")


def _check_size(run: Run) -> None:
    """Refuse models far above any that was ever trained; below, numbers of operations fit 64 bits."""
    weights = run.depth * run.dim**2 * max(1.0, run.mlp_ratio, run.gating_ratio)
    hidden = max(run.tokens, run.token_hidden or run.token_ratio * run.tokens)
    if weights > MOST_WEIGHTS or run.depth * run.dim * run.tokens * hidden > MOST_MIXED:
        raise SpecError(
            f"a model of this size cannot be trained: depth {run.depth:,}, dim {run.dim:,}, {run.tokens:,} tokens; "
            "reduce one"
        )


def _check_images(run: Run) -> None:
    if run.mixes and run.batch_size % 2:
        raise SpecError(f"batch_size must be even, since Mixup and CutMix pair images, got {run.batch_size}")
    if run.crop_padding > run.image_size:
        raise SpecError(f"crop_padding must be at most image_size, which is {run.image_size}, got {run.crop_padding}")
    if run.crop_padding and run.crop_min_area < 1:
        raise SpecError(
            f"only one kind of random crop is possible, got crop_padding {run.crop_padding} "
            f"and crop_min_area {run.crop_min_area:g}"
        )


def _check_conv_stem(run: Run) -> None:
    halvings = run.patch_size.bit_length() - 1
    if run.patch_size < 2 or run.patch_size != 2**halvings:
        raise SpecError(f"patch_size must be a power of 2 with stem 'conv', got {run.patch_size}")
    if run.dim % 2 ** (halvings - 1):
        raise SpecError(
            f"dim must be divisible by {2 ** (halvings - 1)} with stem 'conv' and patch_size {run.patch_size}, "
            f"got {run.dim}"
        )
