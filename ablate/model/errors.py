"""Errors in the user's own mixers, channel mixers and stems, explained: the line, and what timm passes there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ablate.spec.plugins import files_of
from ablate.spec.run import Run
from ablate.spec.usercode import contained

# What calls the functions of a part passes, by slot and function.
PASSED: Mapping[str, Mapping[str, str]] = {
    "mixer": {
        "layer": "ablate passes run and tokens",
        "__init__": "timm passes dim, and num_heads, qkv_bias, qk_norm, scale_norm, proj_bias, attn_drop, proj_drop, "
        "norm_layer, device and dtype by name; accept those that you do not use with **_",
        "forward": "timm passes x, and attn_mask and is_causal by name",
    },
    "channel": {
        "layer": "ablate passes run and tokens",
        "__init__": "timm passes in_features, hidden_features, act_layer, norm_layer, bias, drop, device and dtype by "
        "name; accept those that you do not use with **_",
        "forward": "timm passes x",
    },
    "stem": {
        "layer": "ablate passes run",
        "__init__": "timm passes img_size, patch_size, in_chans, embed_dim, bias, dynamic_img_pad, device and dtype by "
        "name; accept those that you do not use with **_",
        "forward": "timm passes x",
    },
}


@contextmanager
def explaining(run: Run) -> Iterator[None]:
    """Build or call the model of a run within the block.

    Raises:
        SpecError: when a part in the user's own file raises an error.
    """
    callers = {Path(path): PASSED[slot] for slot, path in files_of(run).items()}
    if not callers:
        yield
        return
    with contained(next(iter(callers)), callers):
        yield
