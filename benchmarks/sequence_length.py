"""How does the time of a token mixer grow with the number of tokens? A study for `ablate bench`, not for training.

    ablate bench benchmarks/sequence_length.py --modes fp32-eager-inference --batches 1 --threads 1
    ablate bench benchmarks/sequence_length.py --scale gpu --modes bf16-inference --batches 8

Four blocks without a feature branch: nothing but the mixer, its norm and a small stem. Prints for each mixer the
exponent of time in the number of tokens with its 95 % interval, beside that of the MACs: patch_ff is linear in the
tokens with a fixed hidden width and quadratic with a ratio.
"""

from ablate import Scale, Study

PATCH = 4
MIXERS = {
    "attention": {"mixer": "attention"},
    "patch_ff, ratio 1": {"mixer": "patch_ff", "token_ratio": 1.0},
    "patch_ff, width 256": {"mixer": "patch_ff", "token_hidden": 256},
}
SIDES = [12, 16, 24, 32, 48]  # patches along a side: 144 to 2,304 tokens
SHAPE = {"patch_size": PATCH, "depth": 4, "heads": 4, "channel": "none", "pool": "avg"}

study = Study(
    question="How does the time of a token mixer grow with the number of tokens?",
    axes={"kind": MIXERS, "image_size": [PATCH * side for side in SIDES]},
    cross=True,
    scales={"cpu": Scale({**SHAPE, "dim": 64}), "gpu": Scale({**SHAPE, "dim": 384})},
)
