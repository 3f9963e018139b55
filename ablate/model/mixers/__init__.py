"""What may stand in a block's token-mixing slot: one file a mixer.

A mixer's file `NAME.py` defines

- `BEHAVIOUR`, an integer that enters the key of every run with this mixer; raise it when its outputs change;
- `layer(run, tokens)`, the class timm builds in the block's `attn` slot, or None for a block without that branch;
- `macs(run, tokens)` and `activations(run, tokens)`, the multiply-accumulate operations of the branch for one image
  and the elements that its linear layers, convolutions and products of matrices put out.

and, where it has them,

- `params(run, tokens)`, the number of its parameters; without it they are counted on a model of one block;
- `FROZEN = True`, when none of them is trained;
- `KNOB`, the field whose width brings it to another variant's size; without it that is `dim`. See `ablate.study.match`.

Formulas are read without the rest of the file (`ablate.spec.source`), so that a plan does not wait for torch.
"""
