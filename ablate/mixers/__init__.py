"""What may stand in a block's token-mixing slot: one file a mixer.

A mixer's file `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run with this mixer; raise it when its outputs change;
- `layer(run, tokens)`, the class timm builds in the block's `attn` slot, or None for a block without that branch;
- `macs(run, tokens)`, the multiply-accumulate operations of the branch for one image.
"""
