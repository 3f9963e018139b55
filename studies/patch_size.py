"""Is the patch embedding what a vision transformer's accuracy comes from, rather than its mixer?

    ablate run patch_size --scale digits   # four minutes on 2 cores, no GPU
    ablate run patch_size --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run patch_size --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: attention does not lose by a patch of 6 pixels, +0.56 ± 3.37,
and no mixing gains by it, from 73.68 ± 4.66 to 86.74 ± 2.87.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1

# The usual patch, the control's; a finer one; a coarser one.
SIZES = {"digits": (3, 2, 6), "cifar10": (4, 2, 8), "imagenet": (16, 14, 32)}
SCALES = {"digits": DIGITS.replace(expect="about four minutes on 2 cores"), "cifar10": CIFAR10, "imagenet": IMAGENET}


def claims(scale, usual, fine, coarse):
    """The same claims with the patches of a scale."""
    bag, bag_coarse = (top1(mixer="none", patch_size=size) for size in (usual, coarse))
    return [
        Claim("A coarser patch costs attention accuracy", top1(patch_size=coarse) - top1() < 0, [scale]),
        Claim(
            "A coarser patch costs patch FF accuracy",
            top1(mixer="patch_ff", patch_size=coarse) - top1(mixer="patch_ff") < 0,
            [scale],
        ),
        Claim(
            "A coarser patch costs attention more than taking attention away does",
            (top1(patch_size=coarse) - top1()) - (bag - top1()) < 0,
            [scale],
        ),
        Claim(
            "Mixing pays more on fine patches than on coarse ones",
            (top1(patch_size=fine) - top1(mixer="none", patch_size=fine)) - (top1(patch_size=coarse) - bag_coarse) > 0,
            [scale],
        ),
    ]


study = Study(
    question="Is it the patch size, rather than the mixer, that decides the accuracy?",
    axes={"mixer": ["attention", "patch_ff", "none"], "patch_size": SIZES["imagenet"]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={name: scale.replace(axes={"patch_size": SIZES[name]}) for name, scale in SCALES.items()},
    seeds=4,
    claims=[claim for scale, sizes in SIZES.items() for claim in claims(scale, *sizes)],
)
