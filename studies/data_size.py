"""Does attention need more data than other mixers?

    ablate run data_size --scale digits   # five minutes on 2 cores, no GPU
    ablate run data_size --scale cifar10 --data cifar10=PATH  # one GPU; not measured yet
    ablate run data_size --scale imagenet --on slurm --data imagenet=PATH  # not measured yet

Test top-1 of the digits, 4 seeds, 95 % t intervals: with a tenth of the images attention falls from
86.04 ± 2.78 to 63.06 ± 3.25, patch FF from 93.61 ± 4.21 to 85.56 ± 4.71.
"""

from ablate import CIFAR10, DIGITS, IMAGENET, Claim, Study, top1


def loss_of(mixer, fraction):
    """What a mixer loses when it is trained on a part of the images alone."""
    return top1(mixer=mixer) - top1(mixer=mixer, train_fraction=fraction)


study = Study(
    question="Does attention need more data than a feed-forward layer over the patches?",
    # An epoch has the same number of steps whatever the fraction: see docs/data.md.
    axes={"mixer": ["attention", "patch_ff", "none"], "train_fraction": [1.0, 0.5, 0.25, 0.1]},
    cross=True,
    fixed={"pool": "avg", "norm_before_pool": True},
    scales={"digits": DIGITS.replace(expect="about five minutes on 2 cores"), "cifar10": CIFAR10, "imagenet": IMAGENET},
    seeds=4,
    claims=[
        *(
            Claim(f"{mixer} is worse with a quarter of the images", loss_of(mixer, 0.25) > 0)
            for mixer in ("attention", "patch_ff", "none")
        ),
        Claim(
            "With a quarter of the images, attention loses more than patch FF",
            loss_of("attention", 0.25) - loss_of("patch_ff", 0.25) > 0,
        ),
        Claim(
            "With a tenth of the images, attention loses more than patch FF",
            loss_of("attention", 0.1) - loss_of("patch_ff", 0.1) > 0,
        ),
        Claim(
            "With a tenth of the images, patch FF still beats no mixing",
            top1(mixer="patch_ff", train_fraction=0.1) - top1(mixer="none", train_fraction=0.1) > 0,
        ),
    ],
)
