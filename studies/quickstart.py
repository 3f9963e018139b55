"""Does a small vision transformer need attention? The first look, on handwritten digits at random offsets.

    ablate run quickstart  # about a minute on 2 cores, no GPU
    ablate run quickstart --scale cifar10 --data cifar10=PATH  # CIFAR-10 on one GPU; not measured yet
    ablate run quickstart --scale imagenet --data imagenet=PATH  # DeiT's recipe, tiny; not measured yet

Test top-1 of 360 digits, 95 % t intervals (AMD EPYC, torch 2.15.0): attention 86.30 ± 5.09, patch FF 93.43 ± 7.97,
no mixing 73.70 ± 8.90. Few seeds: wide intervals. A toy of 1,149 training images says little about ImageNet. Other
studies train a fourth seed of these models, which does not count here.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, params, top1

study = Study(
    question="Does a small vision transformer need attention, or any token mixing at all?",
    axes={"mixer": ["attention", "patch_ff", "none"]},
    # The final norm is before the pooling: after it, the norm would couple the tokens even without a mixer.
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={"digits": DIGITS, "cifar10": CIFAR10, "imagenet": IMAGENET},
    seeds=3,
    claims=[
        Claim("Patch FF stays within 5 points of attention", top1(mixer="patch_ff") - top1(mixer="attention") > -5),
        Claim("Without token mixing, accuracy falls", top1(mixer="none") - top1(mixer="attention") < 0),
        Claim("Patch FF needs fewer parameters than attention", params(mixer="patch_ff") < params(mixer="attention")),
    ],
)
