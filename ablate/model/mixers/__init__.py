"""Token mixers of a block, one file each.

The file `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run with this mixer; raise it when its outputs change;
- `layer(run, tokens)`, the class that timm instantiates as `attn` of a block, or None for a block without token mixer;
- `macs(run, tokens)` and `activations(run, tokens)`, for one image: the multiply-accumulate operations of the mixer,
  and the output elements of its linear layers, convolutions and matrix products;
- optionally `params(run, tokens)`, the number of its parameters, which else are counted on a model of one block;
- optionally `FROZEN = True`, if none of them is trained;
- optionally `KNOB`, the field that matches its size to that of another variant, else `dim` (see `ablate.study.match`).

Formulas are read without the rest of the file (`ablate.spec.source`), so that a plan does not import torch.
"""
