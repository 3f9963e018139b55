"""Does a vision transformer need its feed-forward layer over the features?

ablate run channel --scale digits
ablate run channel --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
ablate run channel --scale imagenet --on slurm --data imagenet=PATH  # not measured yet
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1

study = Study(
    question="Does a vision transformer need its feed-forward layer over the features?",
    axes={"mixer": ["attention", "patch_ff"], "channel": ["ff", "none", "attention"]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={"digits": DIGITS, "cifar10": CIFAR10, "imagenet": IMAGENET},
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
