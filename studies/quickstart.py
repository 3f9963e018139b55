"""Does a small vision transformer need attention? The first look, on handwritten digits at random offsets.

ablate run quickstart            # about two minutes on a laptop, no GPU
"""

from ablate import DIGITS, Claim, Study, params, top1

study = Study(
    question="Does a small vision transformer need attention, or any token mixing at all?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    # The last norm stands before the pooling: after it, the norm would couple the tokens even without a mixer.
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={"digits": DIGITS},
    seeds=3,
    claims=[
        Claim("Patch FF stays within 5 points of attention", top1(mixer="patch_ff") - top1(mixer="attention") > -5),
        Claim("Without token mixing, accuracy falls", top1(mixer="none") - top1(mixer="attention") < 0),
        Claim("Patch FF needs fewer parameters than attention", params(mixer="patch_ff") < params(mixer="attention")),
    ],
)
