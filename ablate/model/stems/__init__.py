"""How an image becomes tokens: one file each.

`NAME.py` defines `BEHAVIOUR`; `layer(run)`, the class timm builds as `patch_embed`; `macs(run, channels)` and
`activations(run)`, for one image.
Where it has them: `params(run, channels)`, the number of its parameters, and `FROZEN = True`
when none of them is trained.
"""
