"""Does a vision transformer need its feed-forward layer over the features?

    ablate run channel --scale digits   # three minutes on 2 cores, no GPU
    ablate run channel --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run channel --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: without a feature layer attention loses 9.58 points,
−9.58 ± 3.72, and patch FF −7.50 ± 5.17. Patch FF alone does as well as attention with a feature layer:
+0.07 ± 2.78.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1

study = Study(
    question="Does a vision transformer need its feed-forward layer over the features?",
    axes={"mixer": ["attention", "patch_ff"], "channel": ["ff", "none", "attention"]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={
        "digits": DIGITS.replace(expect="about three minutes on 2 cores"),
        "cifar10": CIFAR10,
        "imagenet": IMAGENET,
    },
    seeds=4,
    claims=[
        Claim("Attention loses by having no feature layer", top1(channel="none") - top1() < 0),
        Claim(
            "Patch FF loses by having no feature layer",
            top1(channel="none", mixer="patch_ff") - top1(mixer="patch_ff") < 0,
        ),
        Claim("Attention over the features does not replace the feature layer", top1(channel="attention") - top1() < 0),
    ],
)
