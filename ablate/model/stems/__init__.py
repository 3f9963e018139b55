"""Stems, which turn an image into tokens, one file each.

The file `NAME.py` defines `BEHAVIOUR`; `layer(run)`, the class that timm instantiates as `patch_embed`;
`macs(run, channels)` and `activations(run)`, for one image; and optionally `params(run, channels)`, the number of its
parameters, and `FROZEN = True` if none of them is trained.
"""
