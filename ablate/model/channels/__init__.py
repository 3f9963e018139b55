"""What may stand in a block's feature slot: one file each.

`NAME.py` defines `BEHAVIOUR`; `layer(run, tokens)`, the class timm builds in the block's `mlp` slot, or None for a
block without that branch; `macs(run, tokens)` and `activations(run, tokens)` of the branch, for one image.
Where it has them: `params(run, tokens)`, the number of its parameters, and `FROZEN = True`
when none of them is trained.
"""
