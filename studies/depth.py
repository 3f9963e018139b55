"""Does attention's lead over other mixers change with the number of blocks?

    ablate run depth --scale digits   # four minutes on 2 cores, no GPU
    ablate run depth --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run depth --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: patch FF leads at each depth, 95.49 ± 1.59 against
85.14 ± 4.31 with six blocks; whether the difference changes with depth is undecided.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1

# The usual depth, the control's; a shallower one; a deeper one.
DEPTHS = {"digits": (3, 1, 6), "cifar10": (6, 3, 12), "imagenet": (12, 6, 24)}
SCALES = {"digits": DIGITS.replace(expect="about four minutes on 2 cores"), "cifar10": CIFAR10, "imagenet": IMAGENET}


def lead(mixer, depth):
    """How far attention is ahead of a mixer at a depth."""
    return top1(depth=depth) - top1(mixer=mixer, depth=depth)


def claims(scale, shallow, deep):
    """The same claims with the depths of a scale."""
    return [
        Claim("Attention gains from depth", top1(depth=deep) - top1(depth=shallow) > 0, [scale]),
        Claim(
            "Patch FF gains from depth",
            top1(mixer="patch_ff", depth=deep) - top1(mixer="patch_ff", depth=shallow) > 0,
            [scale],
        ),
        Claim(
            "Attention's lead over patch FF grows with depth",
            lead("patch_ff", deep) - lead("patch_ff", shallow) > 0,
            [scale],
        ),
        Claim(
            "Attention's lead over no mixing grows with depth", lead("none", deep) - lead("none", shallow) > 0, [scale]
        ),
    ]


study = Study(
    question="Does attention's lead change with depth?",
    axes={"mixer": ["attention", "patch_ff", "none"], "depth": DEPTHS["imagenet"]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={name: scale.replace(axes={"depth": DEPTHS[name]}) for name, scale in SCALES.items()},
    seeds=4,
    claims=[claim for scale, (_, *depths) in DEPTHS.items() for claim in claims(scale, *depths)],
)
