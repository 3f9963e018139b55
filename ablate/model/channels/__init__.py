"""Channel mixers of a block, one file each.

The file `NAME.py` defines the same names as that of a token mixer (see `ablate.model.mixers`). timm instantiates its
`layer(run, tokens)` as `mlp` of a block.
"""
